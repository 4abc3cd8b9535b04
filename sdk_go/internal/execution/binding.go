package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"crosswind.dev/go/internal/function"
	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/value"
	"crosswind.dev/go/sdk"
)

// errBinding says that a function does not take the inputs that it was given: another try would not either.
var errBinding = errors.New("the inputs do not fit")

// binding gives inputs to the values of a function. A DAG of the bundle has been checked when it was registered; one of
// another bundle gives what it likes.
type binding struct {
	*runner
	function *function.Function

	values []reflect.Value // one for each value parameter but a variadic one
	rest   []reflect.Value // of the variadic one
	fields []reflect.Value // one for each tagged field
}

// given is an input's value.
type given struct {
	name     string
	position int // -1: by name only
	data     []byte
}

func (b *binding) bind() error {
	inputs := b.Task.GetInputs()
	if len(inputs) == 0 && len(b.function.Values) == 0 && len(b.function.Fields) == 0 {
		return nil
	}
	values := make([]given, 0, len(inputs))
	for index, input := range inputs {
		data, err := value.FromInput(input, b.read)
		if err != nil {
			return fmt.Errorf("argument %s %w", describeInput(input, index), err)
		}
		if input.GetName() != "" || input.Position != nil {
			values = append(values, given{input.GetName(), positionOf(input), data})
			continue
		}
		named, err := spread(data)
		if err != nil {
			return err
		}
		values = append(values, named...)
	}
	if b.function.Fields != nil {
		return b.bindFields(values)
	}
	return b.bindValues(values)
}

func (b *binding) bindFields(values []given) error {
	fields := b.function.Fields
	b.fields = make([]reflect.Value, len(fields))
	for _, each := range values {
		place := -1
		for index, field := range fields {
			if each.name != "" && field.Name == each.name {
				place = index
			}
		}
		if place < 0 && each.position >= 0 && each.position < len(fields) {
			place = each.position
		}
		switch {
		case place < 0 && each.name != "":
			return refuse("it takes no argument '%s'; its arguments are %s", each.name, listFields(fields))
		case place < 0:
			return refuse("it takes no argument at position %d; its arguments are %s", each.position, listFields(fields))
		case b.fields[place].IsValid():
			return refuse("the argument '%s' was given twice", fields[place].Name)
		}
		decoded, err := decode(each.data, fields[place].Type, "'"+fields[place].Name+"'")
		if err != nil {
			return err
		}
		b.fields[place] = decoded
	}
	for index, field := range fields {
		if !b.fields[index].IsValid() && !field.Optional {
			return refuse("the argument '%s' is missing; its arguments are %s", field.Name, listFields(fields))
		}
	}
	return nil
}

func (b *binding) bindValues(values []given) error {
	types := b.function.Values
	if len(values) == 1 && len(types) == 1 && values[0].position < 0 {
		values[0].position = 0 // one value for one parameter, whatever it is called
	}
	sort.SliceStable(values, func(i, j int) bool { return values[i].position < values[j].position })
	fixed := len(types)
	if b.function.Variadic {
		fixed--
	}
	b.values = make([]reflect.Value, fixed)
	for _, each := range values {
		switch {
		case each.position < 0:
			return refuse("it is given the argument '%s' by name, and the parameters of a Go function have none; pass it "+
				"by position, or let the function take a struct with the tag `crosswind:\"%s\"`", each.name, each.name)
		case each.position >= fixed && !b.function.Variadic:
			return refuse("it takes no argument at position %d; its values are (%s)", each.position, listTypes(types))
		case each.position < fixed && b.values[each.position].IsValid():
			return refuse("the argument at position %d was given twice", each.position)
		}
		place := min(each.position, len(types)-1)
		decoded, err := decode(each.data, types[place], fmt.Sprint(each.position))
		if err != nil {
			return err
		}
		if each.position < fixed {
			b.values[each.position] = decoded
		} else {
			b.rest = append(b.rest, decoded)
		}
	}
	for position, found := range b.values {
		if !found.IsValid() {
			return refuse("the argument at position %d is missing; its values are (%s)", position, listTypes(types))
		}
	}
	return nil
}

// structure is the struct whose tagged fields were given values.
func (b *binding) structure(t reflect.Type) reflect.Value {
	pointed := t.Kind() == reflect.Pointer
	if pointed {
		t = t.Elem()
	}
	made := reflect.New(t)
	for index, field := range b.function.Fields {
		if b.fields[index].IsValid() {
			made.Elem().Field(field.Index).Set(b.fields[index])
		}
	}
	if pointed {
		return made
	}
	return made.Elem()
}

// read reads an input that is too large to ride along. One that is not there any more is nothing.
func (b *binding) read(key *executionpb.XComKey) ([]byte, error) {
	ctx, cancel := context.WithTimeout(b.ctx, Deadline)
	defer cancel()
	data, err := b.Client.ReadXCom(ctx, key)
	if errors.Is(err, sdk.ErrXComNotFound) {
		return []byte("null"), nil
	}
	return data, err
}

func decode(data []byte, t reflect.Type, name string) (reflect.Value, error) {
	pointer := reflect.New(t)
	if err := value.Decode(data, pointer.Interface()); err != nil {
		return reflect.Value{}, fmt.Errorf("argument %s %w", name, err)
	}
	return pointer.Elem(), nil
}

// spread are the arguments in an object that names them.
func spread(data []byte) ([]given, error) {
	var object map[string]json.RawMessage
	if err := value.Decode(data, &object); err != nil || object == nil {
		return nil, fmt.Errorf("it is mapped over objects of named arguments, and one of them is none: %w", value.ErrNotReadable)
	}
	values := make([]given, 0, len(object))
	for name, member := range object {
		values = append(values, given{name, -1, member})
	}
	sort.Slice(values, func(i, j int) bool { return values[i].name < values[j].name })
	return values, nil
}

func positionOf(input *executionpb.InputValue) int {
	if input.Position == nil {
		return -1
	}
	return int(input.GetPosition())
}

func describeInput(input *executionpb.InputValue, index int) string {
	if input.GetName() != "" {
		return "'" + input.GetName() + "'"
	}
	return fmt.Sprint(index)
}

func refuse(format string, arguments ...any) error {
	return fmt.Errorf("%s%w", fmt.Sprintf(format, arguments...), silent{errBinding})
}

// silent is an error for errors.Is that adds nothing to a sentence.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }

func listTypes(types []reflect.Type) string {
	names := make([]string, len(types))
	for index, t := range types {
		names[index] = t.String()
	}
	return strings.Join(names, ", ")
}

func listFields(fields []function.Field) string {
	names := make([]string, len(fields))
	for index, field := range fields {
		names[index] = "'" + field.Name + "'"
	}
	return strings.Join(names, ", ")
}
