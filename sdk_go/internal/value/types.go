package value

import (
	"fmt"
	"reflect"
	"strings"
)

// FaultInEncoding says why no value of a type can be written as JSON, as the end of a sentence that begins with the type:
// "has a field Done of type chan int, which ...". Empty: values can be written.
func FaultInEncoding(t reflect.Type) string {
	return findFault(t, "", nil, func(t reflect.Type) bool {
		return MarshalsItself(t) || MarshalsItself(reflect.PointerTo(t))
	}, false)
}

// FaultInDecoding says likewise why no value of a type can be read from JSON.
func FaultInDecoding(t reflect.Type) string {
	return findFault(t, "", nil, func(t reflect.Type) bool {
		pointer := reflect.PointerTo(t)
		return pointer.Implements(jsonUnmarshaler) || pointer.Implements(textUnmarshaler)
	}, true)
}

func findFault(t reflect.Type, path string, seen []reflect.Type, byItself func(reflect.Type) bool, decoding bool) string {
	if byItself(t) {
		return ""
	}
	for _, before := range seen {
		if before == t {
			return ""
		}
	}
	seen = append(seen, t)
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return fault(path, t, "which JSON has no word for")
	case reflect.Interface:
		if decoding && t.NumMethod() > 0 {
			return fault(path, t, "an interface: JSON does not say which type to make of it; take a concrete one, or any")
		}
		return ""
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return findFault(t.Elem(), path, seen, byItself, decoding)
	case reflect.Map:
		if !isKey(t.Key(), byItself) {
			return fault(path, t, "whose keys cannot be a text in JSON; use a map with text or whole numbers as keys")
		}
		return findFault(t.Elem(), path, seen, byItself, decoding)
	case reflect.Struct:
		for index := range t.NumField() {
			field := t.Field(index)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if (!field.IsExported() && !field.Anonymous) || name == "-" {
				continue
			}
			if found := findFault(field.Type, strings.TrimPrefix(path+"."+field.Name, "."), seen, byItself, decoding); found != "" {
				return found
			}
		}
	}
	return ""
}

func fault(path string, t reflect.Type, what string) string {
	if path == "" {
		return fmt.Sprintf("is of type %s, %s", t, what)
	}
	return fmt.Sprintf("has the field %s of type %s, %s", path, t, what)
}

func isKey(t reflect.Type, byItself func(reflect.Type) bool) bool {
	switch t.Kind() {
	case reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return true
	}
	return byItself(t)
}
