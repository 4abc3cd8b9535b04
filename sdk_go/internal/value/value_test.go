package value_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	valuepb "crosswind.dev/go/internal/gen/crosswind/value/v1"
	"crosswind.dev/go/internal/value"
)

type byPointer struct{ N int }

func (b *byPointer) MarshalJSON() ([]byte, error) { return []byte(`"by pointer"`), nil }

type listByItself struct{}

func (listByItself) MarshalJSON() ([]byte, error) { return []byte(` [1, "two"] `), nil }

type row struct {
	Name  string         `json:"name"`
	Count int64          `json:"count"`
	When  time.Time      `json:"when"`
	Data  []byte         `json:"data"`
	More  map[string]any `json:"more,omitempty"`
}

func show(payload *valuepb.Payload) string {
	switch content := payload.GetContent().(type) {
	case *valuepb.Payload_Data:
		return string(content.Data)
	case *valuepb.Payload_Items:
		var parts []string
		for _, item := range content.Items.GetItems() {
			parts = append(parts, string(item.GetData()))
		}
		return "items:" + strings.Join(parts, "|")
	default:
		return "nothing"
	}
}

func TestResults(t *testing.T) {
	var nilSlice []string
	var nilPointer *row
	text := "text"
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	cases := []struct {
		given any
		want  string
		size  int
	}{
		{1, "1", 1},
		{int64(math.MaxInt64), "9223372036854775807", 19},
		{uint64(math.MaxUint64), "18446744073709551615", 20},
		{huge, "123456789012345678901234567890", 30},
		{json.Number("12345678901234567890"), "12345678901234567890", 20},
		{1.5, "1.5", 3},
		{"<a> & bé", `"<a> & bé"`, 0},
		{"\ufffd and \\ufffd", "\"\ufffd and \\\\ufffd\"", 0},
		{true, "true", 4},
		{&text, `"text"`, 6},
		{map[string]any{"b": 1, "a": []int{}}, `{"a":[],"b":1}`, 14},
		{[]int{1, 2}, "items:1|2", 2},
		{&[]int{1, 2}, "items:1|2", 2},
		{[2]string{"a", "b"}, `items:"a"|"b"`, 6},
		{[]any{nil, 1, []int{2}}, "items:null|1|[2]", 8},
		{any([]int{3}), "items:3", 1},
		{nilSlice, "items:", 0},
		{[]byte{1, 2}, `"AQI="`, 6},
		{[2]byte{1, 2}, "items:1|2", 2},
		{[]byPointer{{1}}, `items:"by pointer"`, 12},
		{listByItself{}, `items:1|"two"`, 9},
		{json.RawMessage(`[1,2]`), "items:1|2", 5},
		{nilPointer, "nothing", 0},
		{map[string]int(nil), "nothing", 0},
		{struct{}{}, "{}", 2},
	}
	for _, each := range cases {
		payload, size, err := value.Result(reflect.ValueOf(each.given))
		if err != nil {
			t.Errorf("%#v: %v", each.given, err)
			continue
		}
		if got := show(payload); got != each.want || each.size != 0 && size != each.size {
			t.Errorf("%#v: got %s of %d bytes, want %s of %d", each.given, got, size, each.want, each.size)
		}
		if payload != nil && payload.GetEncoding() != "json/utf-8" {
			t.Errorf("%#v: encoding %s", each.given, payload.GetEncoding())
		}
	}
}

type badText struct{}

func (badText) MarshalText() ([]byte, error) { return []byte("\xff"), nil }

func TestWhatCannotBeWritten(t *testing.T) {
	const notUTF8 = "cannot be written as JSON: it has text that is not UTF-8; use strings.ToValidUTF8, or a []byte, which " +
		"becomes base64"
	cases := []struct {
		given any
		want  string
	}{
		{math.NaN(), "cannot be written as JSON: it has a NaN, which JSON has no word for; use a nil pointer or a text instead"},
		{map[string]float64{"x": math.Inf(-1)}, "cannot be written as JSON: it has a -Inf, which JSON has no word for; use a " +
			"nil pointer or a text instead"},
		{[]any{1, make(chan int)}, "has an item 1 that cannot be written as JSON: unsupported type: chan int"},
		{"a\xffb", notUTF8},
		{map[string]any{"a": []*row{{Name: "\xff"}}}, notUTF8},
		{map[string]int{"\xff": 1}, notUTF8},
		{struct{ T badText }{}, notUTF8},
		{[]string{"fine \ufffd", "\xff"}, "has an item 1 that " + notUTF8},
		{json.RawMessage("\"\xff\""), notUTF8},
		{func() {}, "cannot be written as JSON: unsupported type: func()"},
	}
	for _, each := range cases {
		_, _, err := value.Result(reflect.ValueOf(each.given))
		if !errors.Is(err, value.ErrNotEncodable) || err.Error() != each.want {
			t.Errorf("got %v, want %s", err, each.want)
		}
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	cases := []struct {
		data    string
		pointer any
		want    string
	}{
		{`"x"`, new(int), "cannot be read into int: cannot unmarshal string into Go value of type int"},
		{`1.5`, new(int), "cannot be read into int: cannot unmarshal number 1.5 into Go value of type int"},
		{`300`, new(int8), "cannot be read into int8: cannot unmarshal number 300 into Go value of type int8"},
		{`{"count":"many"}`, new(row), "cannot be read into value_test.row: cannot unmarshal string into Go struct field " +
			"row.count of type int64"},
		{``, new(int), "cannot be read into int: EOF"},
		{`1 x`, new(int), "is said to be JSON, but something follows the value"},
		{"\"\xff\"", new(string), "is said to be JSON, but is not UTF-8"},
	}
	for _, each := range cases {
		err := value.Decode([]byte(each.data), each.pointer)
		if !errors.Is(err, value.ErrNotReadable) || err.Error() != each.want {
			t.Errorf("%s: got %v, want %s", each.data, err, each.want)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	for _, secret := range []string{`{"hunter2"`, `["hunter2"]`, `"hunter2"`, `hunter2`} {
		err := value.DecodeSecret([]byte(secret), new(int))
		if !errors.Is(err, value.ErrNotReadable) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

func TestStructsSurvive(t *testing.T) {
	given := row{
		Name: "é\x00", Count: math.MinInt64, When: time.Date(2026, 12, 1, 2, 3, 4, 5, time.UTC), Data: []byte{0, 255},
		More: map[string]any{"id": json.Number("9007199254740993")},
	}
	payload, _, err := value.Result(reflect.ValueOf([]row{given}))
	if err != nil {
		t.Fatal(err)
	}
	data, err := value.FromPayload(payload)
	if err != nil {
		t.Fatal(err)
	}
	var read []row
	if err := value.Decode(data, &read); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, []row{given}) {
		t.Errorf("got %#v", read)
	}
}

// Whatever JSON says is read into an any and written back the same, digit for digit.
func FuzzAnyJSONSurvives(f *testing.F) {
	for _, seed := range []string{
		`null`, `123456789012345678901234567890`, `-0`, `1e400`, `[1,[2,{"a":null}]]`, `"\u0000\ud83d\ude00"`, `{"":""}`,
		`["\\ufffd","\ufffd"]`, `{"$input":0}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var first any
		if value.Decode([]byte(text), &first) != nil {
			return
		}
		data, err := value.Encode(first)
		if err != nil {
			t.Fatalf("%q was read, and not written: %v", text, err)
		}
		if first != nil {
			payload, _, err := value.Result(reflect.ValueOf(first))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = value.FromPayload(payload); err != nil {
				t.Fatal(err)
			}
		}
		var second any
		if err := value.Decode(data, &second); err != nil {
			t.Fatalf("%q became %q: %v", text, data, err)
		}
		if !reflect.DeepEqual(first, second) {
			t.Errorf("%q became %q", text, data)
		}
	})
}
