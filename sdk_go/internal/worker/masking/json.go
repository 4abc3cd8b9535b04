package masking

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// MaskJSON is Mask for a JSON text, which stays one: its members keep their order, and a number that shows a secret
// becomes a text.
func (m *Masker) MaskJSON(text string) string {
	found := m.compiled()
	if found == nil || found.replace(text) == text {
		return text
	}
	masked, err := maskTokens(text, found)
	if err != nil {
		return quote(found.replace(text))
	}
	return masked
}

func maskTokens(text string, found *finder) (string, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var out strings.Builder
	// Of each open array or object: whether it is an object, and how many tokens it holds so far.
	var isObject []bool
	var counts []int
	for {
		token, err := decoder.Token()
		if err == io.EOF && len(isObject) == 0 && out.Len() > 0 {
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
		if delimiter, ok := token.(json.Delim); ok && (delimiter == '}' || delimiter == ']') {
			isObject, counts = isObject[:len(isObject)-1], counts[:len(counts)-1]
			out.WriteRune(rune(delimiter))
			continue
		}
		if depth := len(counts); depth > 0 {
			switch count := counts[depth-1]; {
			case isObject[depth-1] && count%2 == 1:
				out.WriteString(": ")
			case count > 0:
				out.WriteString(", ")
			}
			counts[depth-1]++
		} else if out.Len() > 0 {
			return "", io.ErrUnexpectedEOF // more than one value
		}
		if delimiter, ok := token.(json.Delim); ok {
			isObject, counts = append(isObject, delimiter == '{'), append(counts, 0)
			out.WriteRune(rune(delimiter))
			continue
		}
		out.WriteString(maskScalar(token, found))
	}
}

func maskScalar(token json.Token, found *finder) string {
	switch value := token.(type) {
	case string:
		return quote(found.replace(value))
	case json.Number:
		if masked := found.replace(value.String()); masked != value.String() {
			return quote(masked)
		}
		return value.String()
	case bool:
		if value {
			return "true"
		}
		return "false"
	default:
		return "null"
	}
}

// quote writes a JSON text as people read it.
func quote(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string can be encoded
	return strings.TrimRight(out.String(), "\n")
}
