package function_test

import (
	"context"
	"io"
	"log"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"crosswind.dev/go/internal/function"
	"crosswind.dev/go/sdk"
)

type row struct {
	Name string
	When time.Time
}

type inputs struct {
	Rows   []row  `crosswind:"rows"`
	Limit  int    `crosswind:"limit,optional"`
	Unused string `json:"unused"`
}

type (
	noName struct {
		A int `crosswind:""`
	}
	twice struct {
		A int `crosswind:"a"`
		B int `crosswind:"a"`
	}
	unexported struct {
		a int `crosswind:"a"`
	}
	oddOption struct {
		A int `crosswind:"a,omitempty"`
	}
	channelTag struct {
		A chan int `crosswind:"a"`
	}
	withChannel struct{ Inner struct{ Done chan int } }
	recursive   struct {
		Next *recursive
		Name string
	}
	badError struct{}
)

func (*badError) Error() string { return "" }

type ownClient interface {
	GetVariable(ctx context.Context, key string) (string, error)
}

var _ = unexported{}.a // as an author would read it

func named(context.Context) error { return nil }

type holder struct{}

func (holder) method() error { return nil }

func generic[T any](T) error { return nil }

func TestParametersAreToldApart(t *testing.T) {
	given := func(ctx context.Context, _ sdk.VariableClient, a []row, log *slog.Logger, _ sdk.Client, _ ownClient,
		b map[string]any, _ sdk.TaskInfo, rest ...recursive) ([]row, error) {
		return nil, nil
	}
	found, problems := function.Analyze(given)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var roles []function.Role
	for _, parameter := range found.Parameters {
		roles = append(roles, parameter.Role)
	}
	want := []function.Role{
		function.Context, function.Client, function.Value, function.Logger, function.Client, function.Client,
		function.Value, function.Info, function.Value,
	}
	if !slices.Equal(roles, want) {
		t.Errorf("roles %v, want %v", roles, want)
	}
	values := []reflect.Type{
		reflect.TypeFor[[]row](), reflect.TypeFor[map[string]any](), reflect.TypeFor[recursive](),
	}
	if !slices.Equal(found.Values, values) || !found.Variadic || found.Fields != nil {
		t.Errorf("values %v, variadic %v, fields %v", found.Values, found.Variadic, found.Fields)
	}
	if found.Result != reflect.TypeFor[[]row]() || !found.ReturnsError {
		t.Errorf("returns %v", found.Result)
	}
}

func TestTagsAreRead(t *testing.T) {
	for _, given := range []any{func(inputs) error { return nil }, func(*inputs) error { return nil }} {
		found, problems := function.Analyze(given)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		want := []function.Field{
			{Name: "rows", Type: reflect.TypeFor[[]row](), Index: 0},
			{Name: "limit", Optional: true, Type: reflect.TypeFor[int](), Index: 1},
		}
		if !slices.Equal(found.Fields, want) || found.Values != nil {
			t.Errorf("fields %v, values %v", found.Fields, found.Values)
		}
	}
}

func TestNames(t *testing.T) {
	cases := []struct {
		given any
		name  string
		plain bool
	}{
		{named, "named", true},
		{holder{}.method, "method", false},
		{generic[int], "generic", false},
		{func() error { return nil }, "", false},
	}
	for _, each := range cases {
		found, problems := function.Analyze(each.given)
		if len(problems) > 0 || found.Name != each.name || found.Plain != each.plain {
			t.Errorf("%T: name %q, plain %v, problems %v", each.given, found.Name, found.Plain, problems)
		}
	}
}

func TestEachMistakeHasItsSentence(t *testing.T) {
	var none func() error
	cases := []struct {
		given any
		want  string
	}{
		{nil, "is given nil in the place of its function; pass the function itself, as in AddTask(transform)"},
		{"transform", "is given a string in the place of its function; pass the function itself, as in AddTask(transform)"},
		{none, "is given a nil function; pass one that is set"},
		{func(chan int) {}, "has the parameter 1 of type chan int, and no value can be decoded into it: it is of type chan int, " +
			"which JSON has no word for"},
		{func(_ context.Context, _ withChannel) {}, "has the parameter 2 of type function_test.withChannel, and no value can be " +
			"decoded into it: it has the field Inner.Done of type chan int, which JSON has no word for"},
		{func(io.Reader) {}, "has the parameter 1 of type io.Reader, and no value can be decoded into it: it is of type " +
			"io.Reader, an interface: JSON does not say which type to make of it; take a concrete one, or any"},
		{func(map[row]int) {}, "has the parameter 1 of type map[function_test.row]int, and no value can be decoded into it: it " +
			"is of type map[function_test.row]int, whose keys cannot be a text in JSON; use a map with text or whole numbers as keys"},
		{func(...sdk.Client) {}, "has the parameter 1 of type ...sdk.Client, and there is only one to give; drop the dots"},
		{func(slog.Logger) {}, "has the parameter 1 of type slog.Logger; take *slog.Logger instead"},
		{func(*log.Logger) {}, "has the parameter 1 of type *log.Logger; take *slog.Logger, whose records stand in the task's " +
			"log, instead"},
		{func(*sdk.TaskInfo) {}, "has the parameter 1 of type *sdk.TaskInfo; take sdk.TaskInfo, by value, instead"},
		{func(*context.Context) {}, "has the parameter 1 of type *context.Context; take context.Context instead"},
		{func(*sdk.Client) {}, "has the parameter 1 of type *sdk.Client; take sdk.Client, without the pointer, instead"},
		{func(noName) {}, "has the parameter 1 of type function_test.noName, whose field A has a crosswind tag without a name; " +
			"write `crosswind:\"a\"`"},
		{func(twice) {}, "has the parameter 1 of type function_test.twice, which has the crosswind tag 'a' twice; rename one of them"},
		{func(unexported) {}, "has the parameter 1 of type function_test.unexported, whose field a has a crosswind tag, but " +
			"cannot be set; begin its name with a capital"},
		{func(oddOption) {}, "has the parameter 1 of type function_test.oddOption, whose field A has the crosswind tag option " +
			"'omitempty'; the only one is optional"},
		{func(channelTag) {}, "has the parameter 1 of type function_test.channelTag, and no value can be decoded into its field " +
			"A: it is of type chan int, which JSON has no word for"},
		{func(inputs, int) {}, "has the struct with crosswind tags as parameter 1, and other value parameters beside it; move " +
			"these into the struct as tagged fields, or drop the tags"},
		{func(inputs, inputs) {}, "has the struct with crosswind tags as parameter 2, and other value parameters beside it; " +
			"move these into the struct as tagged fields, or drop the tags"},
		{func() int { return 0 }, "returns int without an error; return (int, error)"},
		{func() *badError { return nil }, "returns *function_test.badError, and a nil one would count as a failure; return error"},
		{func() (int, string) { return 0, "" }, "returns (int, string), of which the second must be an error; return (int, error)"},
		{func() (error, error) { return nil, nil }, "returns two errors; return one, joined by errors.Join where there are several"},
		{func() (int, int, error) { return 0, 0, nil }, "returns (int, int, error); return nothing, an error, or one value and " +
			"an error: several values go into a struct"},
		{func() (chan int, error) { return nil, nil }, "returns a chan int, and it cannot be encoded: it is of type chan int, " +
			"which JSON has no word for; return what can be written as JSON"},
	}
	for _, each := range cases {
		_, problems := function.Analyze(each.given)
		if len(problems) != 1 || problems[0] != each.want {
			t.Errorf("%T:\ngot  %q\nwant %q", each.given, problems, each.want)
		}
	}
}

func TestAllMistakesAreToldTogether(t *testing.T) {
	_, problems := function.Analyze(func(chan int, io.Reader) int { return 0 })
	if len(problems) != 3 {
		t.Errorf("got %q", problems)
	}
}
