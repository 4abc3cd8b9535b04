package value

import (
	"bytes"
	"encoding"
	"reflect"
	"unicode/utf8"
)

// Deeper than this encoding/json has refused a value, or it points to itself.
const maxDepth = 1000

// mayHaveReplaced says whether JSON has a U+FFFD, which encoding/json puts in the place of what is not UTF-8: escaped or as
// it is, depending on the version of Go. One that was there before looks the same.
func mayHaveReplaced(data []byte) bool {
	return bytes.Contains(data, []byte("\ufffd")) || bytes.Contains(data, []byte(`\ufffd`))
}

// hasBadText says whether a value, which encoding/json has written, holds text that is not UTF-8.
func hasBadText(value reflect.Value, depth int) bool {
	if !value.IsValid() || depth > maxDepth {
		return false
	}
	if value.CanInterface() && value.Type().Implements(textMarshaler) && !value.Type().Implements(jsonMarshaler) {
		if value.Kind() == reflect.Pointer && value.IsNil() {
			return false
		}
		text, err := value.Interface().(encoding.TextMarshaler).MarshalText()
		return err == nil && !utf8.Valid(text)
	}
	if value.Type().Implements(jsonMarshaler) {
		return false // it wrote itself
	}
	switch value.Kind() {
	case reflect.String:
		return !utf8.ValidString(value.String())
	case reflect.Interface, reflect.Pointer:
		return hasBadText(value.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		if !IsList(value.Type()) {
			return false // base64
		}
		for index := range value.Len() {
			if hasBadText(value.Index(index), depth+1) {
				return true
			}
		}
	case reflect.Map:
		for entries := value.MapRange(); entries.Next(); {
			if hasBadText(entries.Key(), depth+1) || hasBadText(entries.Value(), depth+1) {
				return true
			}
		}
	case reflect.Struct:
		for index := range value.NumField() {
			field := value.Type().Field(index)
			if field.Tag.Get("json") != "-" && (field.IsExported() || field.Anonymous) && hasBadText(value.Field(index), depth+1) {
				return true
			}
		}
	}
	return false
}
