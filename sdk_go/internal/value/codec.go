// Package value turns Go values into payloads and back, as JSON by the rules of encoding/json. Which value is wanted where
// is not known here.
package value

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	valuepb "crosswind.dev/go/internal/gen/crosswind/value/v1"
)

// Encoding is the name of the encoding that every SDK speaks.
const Encoding = "json/utf-8"

var (
	// ErrNotEncodable says that a value cannot be written as JSON.
	ErrNotEncodable = errors.New("the value cannot be written as JSON")
	// ErrNotReadable says that a value cannot be read as what it is wanted as.
	ErrNotReadable = errors.New("the value cannot be read")
)

// Error says what is wrong with a value, as the end of a sentence: "cannot be written as JSON: NaN ...".
type Error struct {
	Problem string
	// Kind is ErrNotEncodable or ErrNotReadable.
	Kind error
}

// Error implements error.
func (e *Error) Error() string { return e.Problem }

// Unwrap implements errors.Unwrap.
func (e *Error) Unwrap() error { return e.Kind }

var null = []byte("null")

// Encode is a value as JSON in UTF-8, without spaces. Its error is ErrNotEncodable.
func Encode(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false) // it is for no browser, and other SDKs do not
	if err := encoder.Encode(value); err != nil {
		return nil, notEncodable(err)
	}
	data := bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
	if !utf8.Valid(data) || mayHaveReplaced(data) && hasBadText(reflect.ValueOf(value), 0) {
		return nil, &Error{
			Problem: "cannot be written as JSON: it has text that is not UTF-8; use strings.ToValidUTF8, or a []byte, " +
				"which becomes base64",
			Kind: ErrNotEncodable,
		}
	}
	return data, nil
}

// Decode reads one JSON value into what pointer points to. Numbers in an any become json.Number, which keeps their digits.
// Its error is ErrNotReadable.
func Decode(data []byte, pointer any) error {
	if !utf8.Valid(data) {
		return notReadable("is said to be JSON, but is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(pointer); err != nil {
		return notReadable("cannot be read into %s: %s", reflect.TypeOf(pointer).Elem(), reasonOf(err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return notReadable("is said to be JSON, but something follows the value")
	}
	return nil
}

// DecodeSecret is Decode for values that an error must not show.
func DecodeSecret(data []byte, pointer any) error {
	err := Decode(data, pointer)
	if err == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var mismatch *json.UnmarshalTypeError
	if errors.As(decoder.Decode(reflect.New(reflect.TypeOf(pointer).Elem()).Interface()), &mismatch) {
		kind, _, _ := strings.Cut(mismatch.Value, " ")
		return notReadable("cannot be read into %s: it has a %s where a %s is wanted",
			reflect.TypeOf(pointer).Elem(), kind, mismatch.Type)
	}
	return notReadable("cannot be read into %s: it is not such JSON", reflect.TypeOf(pointer).Elem())
}

// Payload carries JSON whole.
func Payload(data []byte) *valuepb.Payload {
	return &valuepb.Payload{Encoding: Encoding, Content: &valuepb.Payload_Data{Data: data}}
}

// Items carries the items of a list, each JSON.
func Items(items [][]byte) *valuepb.Payload {
	list := make([]*valuepb.Item, len(items))
	for index, data := range items {
		list[index] = &valuepb.Item{Content: &valuepb.Item_Data{Data: data}}
	}
	return &valuepb.Payload{Encoding: Encoding, Content: &valuepb.Payload_Items{Items: &valuepb.Items{Items: list}}}
}

// Result is what passes between tasks: a list as its items, anything else whole. Nil: there is nothing, as for a nil
// pointer; but a nil slice is an empty list. Its size is that of the value in bytes. Its error is ErrNotEncodable.
func Result(value reflect.Value) (payload *valuepb.Payload, size int, err error) {
	items, isList, err := ItemsOf(value)
	if err != nil {
		return nil, 0, err
	}
	if isList {
		for _, item := range items {
			size += len(item)
		}
		return Items(items), size, nil
	}
	data, err := Encode(value.Interface())
	if err != nil {
		return nil, 0, err
	}
	if bytes.Equal(data, null) {
		return nil, 0, nil
	}
	if data[0] == '[' { // by a MarshalJSON, which only now says so
		var raw []json.RawMessage
		if err := json.Unmarshal(data, &raw); err != nil {
			return nil, 0, notEncodable(err)
		}
		items = make([][]byte, len(raw))
		for index, item := range raw {
			items[index] = item
		}
		return Items(items), len(data), nil
	}
	return Payload(data), len(data), nil
}

// ItemsOf are the items of a slice or array that travels as a list, each as JSON. A []byte is none: it is a text in
// base64. Its error is ErrNotEncodable, and names the item.
func ItemsOf(value reflect.Value) (items [][]byte, isList bool, err error) {
	for value.Kind() == reflect.Interface || value.Kind() == reflect.Pointer {
		if value.IsNil() || MarshalsItself(value.Type()) {
			return nil, false, nil
		}
		value = value.Elem()
	}
	if !IsList(value.Type()) {
		return nil, false, nil
	}
	items = make([][]byte, value.Len())
	for index := range items {
		item := value.Index(index)
		if item.CanAddr() { // so that a MarshalJSON of the pointer counts, as in the whole slice
			item = item.Addr()
		}
		if items[index], err = Encode(item.Interface()); err != nil {
			return nil, true, &Error{Problem: fmt.Sprintf("has an item %d that %s", index, err), Kind: ErrNotEncodable}
		}
	}
	return items, true, nil
}

// IsList says whether values of a type are certainly written as a JSON list.
func IsList(t reflect.Type) bool {
	if (t.Kind() != reflect.Slice && t.Kind() != reflect.Array) || MarshalsItself(t) {
		return false
	}
	return t.Kind() == reflect.Array || t.Elem().Kind() != reflect.Uint8 || MarshalsItself(reflect.PointerTo(t.Elem()))
}

var (
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// MarshalsItself says whether a type decides itself how it is written.
func MarshalsItself(t reflect.Type) bool {
	return t.Implements(jsonMarshaler) || t.Implements(textMarshaler)
}

func notEncodable(err error) *Error {
	var value *json.UnsupportedValueError
	if errors.As(err, &value) && (value.Str == "NaN" || strings.HasSuffix(value.Str, "Inf")) {
		return &Error{
			Problem: fmt.Sprintf("cannot be written as JSON: it has a %s, which JSON has no word for; use a nil pointer "+
				"or a text instead", value.Str),
			Kind: ErrNotEncodable,
		}
	}
	return &Error{Problem: "cannot be written as JSON: " + reasonOf(err), Kind: ErrNotEncodable}
}

func notReadable(format string, args ...any) *Error {
	return &Error{Problem: fmt.Sprintf(format, args...), Kind: ErrNotReadable}
}

func reasonOf(err error) string {
	return strings.TrimPrefix(err.Error(), "json: ")
}

// TooLarge says that a value must not travel between tasks, as the end of a sentence. Empty: it may.
func TooLarge(size, limit int) string {
	if size <= limit {
		return ""
	}
	return fmt.Sprintf("takes %d bytes, and at most %d travel between tasks; write it to a file or an object store and "+
		"pass on where it lies", size, limit)
}
