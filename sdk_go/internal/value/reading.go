package value

import (
	"bytes"
	"encoding/json"

	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	valuepb "crosswind.dev/go/internal/gen/crosswind/value/v1"
)

// FromPayload is the JSON in a payload; of one without content, null. Its error is ErrNotReadable.
func FromPayload(payload *valuepb.Payload) ([]byte, error) {
	switch content := payload.GetContent().(type) {
	case nil:
		return null, nil
	case *valuepb.Payload_Data:
		return content.Data, checkEncoding(payload)
	case *valuepb.Payload_Items:
		if err := checkEncoding(payload); err != nil {
			return nil, err
		}
		parts := make([][]byte, len(content.Items.GetItems()))
		for index, item := range content.Items.GetItems() {
			data, inline := item.GetContent().(*valuepb.Item_Data)
			if !inline {
				return nil, blobRefused()
			}
			parts[index] = data.Data
		}
		return join(parts), nil
	default:
		return nil, blobRefused()
	}
}

// FromList is the JSON list of several payloads. Its error is ErrNotReadable.
func FromList(payloads []*valuepb.Payload) ([]byte, error) {
	parts := make([][]byte, len(payloads))
	for index, payload := range payloads {
		data, err := FromPayload(payload)
		if err != nil {
			return nil, err
		}
		parts[index] = data
	}
	return join(parts), nil
}

// Reader reads what is too large to ride along. Its error is the call's.
type Reader func(key *executionpb.XComKey) ([]byte, error)

// FromInput is the JSON of an input; of one that was not written, null. Its error is ErrNotReadable, or the reader's.
func FromInput(input *executionpb.InputValue, read Reader) ([]byte, error) {
	data, err := fromInput(input, read)
	if err != nil || len(input.GetPath()) == 0 {
		return data, err
	}
	for _, step := range input.GetPath() {
		if data, err = take(data, step); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func fromInput(input *executionpb.InputValue, read Reader) ([]byte, error) {
	switch value := input.GetValue().(type) {
	case *executionpb.InputValue_Payload:
		return FromPayload(value.Payload)
	case *executionpb.InputValue_List:
		return FromList(value.List.GetPayloads())
	case *executionpb.InputValue_Reference:
		return read(value.Reference)
	case *executionpb.InputValue_Composite:
		parts := value.Composite.GetParts()
		return fillTemplate([]byte(value.Composite.GetTemplateJson()), func(number int64) ([]byte, error) {
			if number < 0 || number >= int64(len(parts)) {
				return nil, notReadable("is a structure that names part %d, and there are only %d", number, len(parts))
			}
			return FromInput(parts[number], read)
		})
	default:
		return null, nil
	}
}

// take is one element of a list or an object.
func take(data []byte, step *manifestpb.Output_PathStep) ([]byte, error) {
	switch place := step.GetStep().(type) {
	case *manifestpb.Output_PathStep_Index:
		var list []json.RawMessage
		if json.Unmarshal(data, &list) != nil || list == nil {
			return nil, notReadable("is %s, which has no [%d]", describe(data), place.Index)
		}
		index := place.Index
		if index < 0 {
			index += int64(len(list))
		}
		if index < 0 || index >= int64(len(list)) {
			return nil, notReadable("is a list of %d items, which has no [%d]", len(list), place.Index)
		}
		return list[index], nil
	case *manifestpb.Output_PathStep_Name:
		var object map[string]json.RawMessage
		if json.Unmarshal(data, &object) != nil || object == nil {
			return nil, notReadable("is %s, which has no ['%s']", describe(data), place.Name)
		}
		found, there := object[place.Name]
		if !there {
			return nil, notReadable("is an object without the key '%s'", place.Name)
		}
		return found, nil
	default:
		return nil, notReadable("is to be taken apart in a way that this version does not know; build the bundle with a " +
			"newer SDK")
	}
}

// The grammar of templates: {"$input": n} stands for part n, and {"$literal": {...}} for an object that has such a key.
const (
	inputKey   = "$input"
	literalKey = "$literal"
)

func fillTemplate(template []byte, part func(int64) ([]byte, error)) ([]byte, error) {
	switch first(template) {
	case '[':
		var list []json.RawMessage
		if err := json.Unmarshal(template, &list); err != nil {
			return nil, notReadable("is a structure whose template is not JSON")
		}
		parts := make([][]byte, len(list))
		for index, item := range list {
			filled, err := fillTemplate(item, part)
			if err != nil {
				return nil, err
			}
			parts[index] = filled
		}
		return join(parts), nil
	case '{':
		var object map[string]json.RawMessage
		if err := json.Unmarshal(template, &object); err != nil {
			return nil, notReadable("is a structure whose template is not JSON")
		}
		if len(object) == 1 {
			var number int64
			if data, is := object[inputKey]; is && json.Unmarshal(data, &number) == nil && !bytes.Equal(data, null) {
				return part(number)
			}
			if data, is := object[literalKey]; is {
				return data, nil
			}
		}
		for key, item := range object {
			filled, err := fillTemplate(item, part)
			if err != nil {
				return nil, err
			}
			object[key] = filled
		}
		return Encode(object)
	default:
		if !json.Valid(template) {
			return nil, notReadable("is a structure whose template is not JSON")
		}
		return template, nil
	}
}

func checkEncoding(payload *valuepb.Payload) error {
	if payload.GetEncoding() == Encoding {
		return nil
	}
	return notReadable("has the encoding '%s', which the Go SDK does not read; let the upstream task return JSON",
		payload.GetEncoding())
}

func blobRefused() error {
	return notReadable("is a blob, which this version of the SDK does not read; build the bundle with a newer one")
}

func join(parts [][]byte) []byte {
	size := 2 + len(parts)
	for _, part := range parts {
		size += len(part)
	}
	joined := append(make([]byte, 0, size), '[')
	for index, part := range parts {
		if index > 0 {
			joined = append(joined, ',')
		}
		joined = append(joined, part...)
	}
	return append(joined, ']')
}

func first(data []byte) byte {
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) == 0 {
		return 0
	}
	return data[0]
}

func describe(data []byte) string {
	switch first(data) {
	case '[':
		return "a list"
	case '{':
		return "an object"
	case '"':
		return "a text"
	case 't', 'f':
		return "a truth value"
	case 'n':
		return "nothing"
	default:
		return "a number"
	}
}
