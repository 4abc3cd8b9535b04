// Package function reads the signatures of task functions, once, when they are registered: which parameters the runtime
// gives, which are values, and what is returned. Which inputs a task has is package registry's, its values package
// execution's.
package function

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"runtime"
	"strings"

	"crosswind.dev/go/internal/value"
	"crosswind.dev/go/sdk"
)

// Role is what a parameter is for.
type Role int

// The roles of parameters.
const (
	// Value takes an input.
	Value Role = iota
	// Tagged is a struct whose tagged fields take inputs.
	Tagged
	// Context takes the attempt's context.
	Context
	// Logger takes the attempt's logger.
	Logger
	// Client takes the attempt's client.
	Client
	// Info takes what the task knows of itself.
	Info
)

// Parameter is one parameter of a function.
type Parameter struct {
	Role Role
	Type reflect.Type
}

// Field is a tagged field, which takes an input by name or, as the n-th, by position.
type Field struct {
	// Name is its tag's.
	Name string
	// Optional says that it may be left without an input.
	Optional bool
	Type     reflect.Type
	// Index is its place in the struct.
	Index int
}

// Function is a task function.
type Function struct {
	// Name is the function's, good as an id. Empty: it has none.
	Name string
	// Plain says that the function is nothing but its code: two of one name and code are one. A closure or method value
	// holds more.
	Plain bool
	// Parameters are all of them.
	Parameters []Parameter
	// Values are the types of the value parameters. A variadic one stands last, as the type of one value.
	Values []reflect.Type
	// Variadic says that the last of Values takes any number of inputs.
	Variadic bool
	// Fields are the tagged fields of the one struct parameter. Nil: values bind by position.
	Fields []Field
	// Result is the type of the value that it returns. Nil: none.
	Result reflect.Type
	// ReturnsError says that the last result is an error.
	ReturnsError bool
	// Func is the function.
	Func reflect.Value
}

var (
	contextType = reflect.TypeFor[context.Context]()
	loggerType  = reflect.TypeFor[*slog.Logger]()
	clientType  = reflect.TypeFor[sdk.Client]()
	infoType    = reflect.TypeFor[sdk.TaskInfo]()
	errorType   = reflect.TypeFor[error]()
)

// Analyze reads a function's signature.
//
// Problems are the ends of sentences that begin with the task: "has the parameter 2 of type chan int, which ...; ...". If
// there are any, the function cannot be called.
func Analyze(given any) (function *Function, problems []string) {
	reflected := reflect.ValueOf(given)
	if !reflected.IsValid() || reflected.Kind() != reflect.Func {
		return &Function{}, []string{fmt.Sprintf("is given %s in the place of its function; pass the function itself, "+
			"as in AddTask(transform)", describe(reflected))}
	}
	if reflected.IsNil() {
		return &Function{}, []string{"is given a nil function; pass one that is set"}
	}
	name, plain := nameOf(reflected)
	reader := &reader{function: &Function{Func: reflected, Name: name, Plain: plain}}
	signature := reflected.Type()
	for index := range signature.NumIn() {
		reader.readParameter(index, signature.In(index), signature.IsVariadic() && index == signature.NumIn()-1)
	}
	reader.checkTags()
	reader.readResults(signature)
	return reader.function, reader.problems
}

type reader struct {
	function *Function
	problems []string
	tagged   int // number of the struct parameter with tags
}

func (r *reader) fail(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func (r *reader) readParameter(index int, t reflect.Type, variadic bool) {
	number := index + 1
	if variadic {
		t = t.Elem()
	}
	role := roleOf(t)
	r.function.Parameters = append(r.function.Parameters, Parameter{role, t})
	switch {
	case role != Value && variadic:
		r.fail("has the parameter %d of type ...%s, and there is only one to give; drop the dots", number, t)
	case role != Value:
	case meant(t) != "":
		r.fail("has the parameter %d of type %s; take %s instead", number, t, meant(t))
	default:
		if fields, problem := readTags(t); problem != "" {
			r.fail("has the parameter %d of type %s, %s", number, t, problem)
			return
		} else if fields != nil && !variadic {
			r.function.Parameters[index].Role = Tagged
			r.function.Fields = fields
			r.tagged = number
			return
		}
		if found := value.FaultInDecoding(t); found != "" {
			r.fail("has the parameter %d of type %s, and no value can be decoded into it: it %s", number, t, found)
			return
		}
		r.function.Values = append(r.function.Values, t)
		r.function.Variadic = variadic
	}
}

func (r *reader) checkTags() {
	tagged := 0
	for _, parameter := range r.function.Parameters {
		if parameter.Role == Tagged {
			tagged++
		}
	}
	if tagged > 1 || (tagged == 1 && len(r.function.Values) > 0) {
		r.fail("has the struct with crosswind tags as parameter %d, and other value parameters beside it; move these "+
			"into the struct as tagged fields, or drop the tags", r.tagged)
	}
}

func (r *reader) readResults(signature reflect.Type) {
	results := make([]string, signature.NumOut())
	for index := range results {
		results[index] = signature.Out(index).String()
	}
	written := strings.Join(results, ", ")
	last := len(results) - 1
	switch {
	case last < 0:
		return
	case last > 1:
		r.fail("returns (%s); return nothing, an error, or one value and an error: several values go into a struct", written)
	case last == 1 && signature.Out(1) != errorType:
		r.fail("returns (%s), of which the second must be an error; return (%s, error)", written, results[0])
	case last == 1 && signature.Out(0) == errorType:
		r.fail("returns two errors; return one, joined by errors.Join where there are several")
	case last == 0 && signature.Out(0) != errorType && signature.Out(0).Implements(errorType):
		r.fail("returns %s, and a nil one would count as a failure; return error", written)
	case last == 0 && signature.Out(0) != errorType:
		r.fail("returns %s without an error; return (%s, error)", written, written)
	default:
		r.function.ReturnsError = true
		if last == 1 {
			r.function.Result = signature.Out(0)
			if found := value.FaultInEncoding(r.function.Result); found != "" {
				r.fail("returns a %s, and it cannot be encoded: it %s; return what can be written as JSON",
					r.function.Result, found)
			}
		}
	}
}

func roleOf(t reflect.Type) Role {
	switch {
	case t == contextType:
		return Context
	case t == loggerType:
		return Logger
	case t == infoType:
		return Info
	case t.Kind() == reflect.Interface && t.NumMethod() > 0 && clientType.Implements(t):
		return Client
	default:
		return Value
	}
}

// meant is the type that an author who wrote t probably wants. Empty: t is as good as any.
func meant(t reflect.Type) string {
	base := t
	for base.Kind() == reflect.Pointer {
		base = base.Elem()
	}
	switch {
	case base == loggerType.Elem():
		return "*slog.Logger"
	case base.PkgPath() == "log" && base.Name() == "Logger":
		return "*slog.Logger, whose records stand in the task's log,"
	case base == infoType:
		return "sdk.TaskInfo, by value,"
	case base == contextType, base.Kind() == reflect.Interface && base.NumMethod() > 0 && base.Implements(contextType):
		return "context.Context"
	case base.Kind() == reflect.Interface && t != base && base.NumMethod() > 0 && clientType.Implements(base):
		return base.String() + ", without the pointer,"
	}
	return ""
}

// readTags are the fields of a struct with crosswind tags. Nil: it has none.
func readTags(t reflect.Type) (fields []Field, problem string) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil, ""
	}
	names := map[string]bool{}
	for index := range t.NumField() {
		field := t.Field(index)
		tag, tagged := field.Tag.Lookup("crosswind")
		if !tagged {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		switch {
		case name == "":
			return nil, fmt.Sprintf("whose field %s has a crosswind tag without a name; write `crosswind:\"%s\"`",
				field.Name, strings.ToLower(field.Name))
		case option != "" && option != "optional":
			return nil, fmt.Sprintf("whose field %s has the crosswind tag option '%s'; the only one is optional",
				field.Name, option)
		case !field.IsExported():
			return nil, fmt.Sprintf("whose field %s has a crosswind tag, but cannot be set; begin its name with a capital",
				field.Name)
		case names[name]:
			return nil, fmt.Sprintf("which has the crosswind tag '%s' twice; rename one of them", name)
		}
		if found := value.FaultInDecoding(field.Type); found != "" {
			return nil, fmt.Sprintf("and no value can be decoded into its field %s: it %s", field.Name, found)
		}
		names[name] = true
		fields = append(fields, Field{Name: name, Optional: option == "optional", Type: field.Type, Index: index})
	}
	return fields, ""
}

var (
	identifier = regexp.MustCompile(`^[\pL_][\pL\pN_]*$`)
	closure    = regexp.MustCompile(`\.func\d+(\.|$)|\.gowrap\d+|\.glob\.`)
)

// nameOf is a function's own name, empty for one that has none, such as a closure; and whether it is plain.
func nameOf(function reflect.Value) (name string, plain bool) {
	found := runtime.FuncForPC(function.Pointer())
	if found == nil {
		return "", false
	}
	full, isMethod := strings.CutSuffix(found.Name(), "-fm")
	if cut := strings.Index(full, "["); cut >= 0 {
		full = full[:cut] // an instance of a generic function
	}
	full = full[strings.LastIndex(full, "/")+1:]
	if closure.MatchString(full) {
		return "", false
	}
	name = full[strings.LastIndex(full, ".")+1:]
	if !identifier.MatchString(name) {
		return "", false
	}
	return name, !isMethod && !strings.Contains(found.Name(), "[")
}

func describe(given reflect.Value) string {
	if !given.IsValid() {
		return "nil"
	}
	return fmt.Sprintf("a %s", given.Type())
}
