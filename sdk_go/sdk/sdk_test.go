package sdk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"crosswind.dev/go/sdk"
)

func TestCallErrorsMeanWhatTheirReasonSays(t *testing.T) {
	cases := []struct {
		reason string
		want   error
	}{
		{"VARIABLE_NOT_FOUND", sdk.ErrVariableNotFound},
		{"CONNECTION_NOT_FOUND", sdk.ErrConnectionNotFound},
		{"XCOM_NOT_FOUND", sdk.ErrXComNotFound},
		{"RUN_NOT_FOUND", sdk.ErrRunNotFound},
		{"VALUE_TOO_LARGE", sdk.ErrValueTooLarge},
		{"STALE_LEASE", sdk.ErrCancelled},
		{"ATTEMPT_CANCELLING", sdk.ErrCancelled},
		{"UNKNOWN_ATTEMPT", sdk.ErrCancelled},
	}
	for _, each := range cases {
		err := fmt.Errorf("so: %w", &sdk.CallError{Reason: each.reason, Message: "no"})
		for _, other := range cases {
			if got := errors.Is(err, other.want); got != (other.want == each.want) {
				t.Errorf("%s is %v: %v", each.reason, other.want, got)
			}
		}
	}
	if errors.Is(&sdk.CallError{Reason: "NEW"}, sdk.ErrCancelled) {
		t.Error("an unknown reason means something")
	}
}

func TestMarksKeepTheirErrors(t *testing.T) {
	base := errors.New("base")
	if sdk.NoRetry(nil) != nil || sdk.RetryAfter(nil, time.Second) != nil {
		t.Error("a mark made an error of nil")
	}
	for _, err := range []error{sdk.NoRetry(base), sdk.RetryAfter(base, -time.Second)} {
		if !errors.Is(err, base) || err.Error() != "base" {
			t.Errorf("got %v", err)
		}
	}
	var later *sdk.RetryAfterError
	if !errors.As(sdk.RetryAfter(base, -time.Second), &later) || later.Delay != 0 {
		t.Errorf("delay %v", later.Delay)
	}
	if got := sdk.Skip("").Error() + ", " + sdk.Skip("why").Error(); got != "skipped, skipped: why" {
		t.Errorf("got %s", got)
	}
}

func TestConnections(t *testing.T) {
	full := sdk.Connection{
		ID: "w", Type: "Postgres_SQL", Host: "db", Port: 5432, Schema: "a b", Login: "me@x", Password: "p/w:+",
		Extra: `{"sslmode":"require","app":"x y"}`,
	}
	cases := []struct {
		given sdk.Connection
		want  string
	}{
		{full, "postgres-sql://me%40x:p%2Fw%3A%2B@db:5432/a%20b?app=x+y&sslmode=require"},
		{sdk.Connection{Type: "http", Host: "::1"}, "http://[::1]"},
		{sdk.Connection{Type: "http", Host: "::1", Port: 80}, "http://[::1]:80"},
		{sdk.Connection{Type: "http", Host: "h", Extra: `{"n":1}`}, "http://h/?__extra__=%7B%22n%22%3A1%7D"},
		{sdk.Connection{Type: "x", Password: "p"}, "x://:p@"},
	}
	for _, each := range cases {
		if got, err := each.given.URI(); err != nil || got != each.want {
			t.Errorf("got %s, %v, want %s", got, err, each.want)
		}
	}
	if text := fmt.Sprintf("%s %v", full, full); strings.Contains(text, "p/w") || strings.Contains(text, "sslmode") {
		t.Errorf("it shows %s", text)
	}
	secret := sdk.Connection{ID: "w", Extra: `{"token": "hunter2`}
	_, err := secret.URI()
	if !errors.Is(err, sdk.ErrValueNotReadable) || strings.Contains(err.Error(), "hunter2") ||
		!strings.HasPrefix(err.Error(), "the extra of connection 'w' cannot be read into map[string]interface {}: ") {
		t.Errorf("got %v", err)
	}
}

func TestParams(t *testing.T) {
	params := sdk.Params{"n": json.RawMessage(`9007199254740993`), "who": json.RawMessage(`"x"`)}
	var all struct {
		N   int64
		Who string
	}
	if err := params.Decode(&all); err != nil || all.N != 9007199254740993 || all.Who != "x" {
		t.Errorf("got %+v, %v", all, err)
	}
	var text string
	if found, err := params.Get("n", &text); !found || !errors.Is(err, sdk.ErrValueNotReadable) ||
		!strings.HasPrefix(err.Error(), "the run's parameter 'n' cannot be read into string: ") {
		t.Errorf("got %v, %v", found, err)
	}
	if found, err := params.Get("missing", &text); found || err != nil {
		t.Errorf("got %v, %v", found, err)
	}
	if err := sdk.Params(nil).Decode(&all); err != nil {
		t.Errorf("got %v", err)
	}
}
