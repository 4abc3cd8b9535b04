package masking

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"google.golang.org/protobuf/encoding/prototext"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
)

func maskerOf(secrets ...string) *Masker {
	masker := New()
	for _, secret := range secrets {
		masker.Add(secret)
	}
	return masker
}

// randomText makes texts of letters that are awkward in one form or another.
func randomText(random *rand.Rand, least, most int, printable bool) string {
	letters := []rune("aZ09 /+=%&?#'\"\\<>@:._-~äßΩ中🙂\n\t\r\x01\u0085\u2028")
	var text strings.Builder
	for range least + random.IntN(most-least+1) {
		letter := letters[random.IntN(len(letters))]
		for printable && !unicode.IsPrint(letter) {
			letter = letters[random.IntN(len(letters))]
		}
		text.WriteRune(letter)
	}
	return text.String()
}

func randomSecret(random *rand.Rand, printable bool) string {
	for {
		if text := randomText(random, 3, 30, printable); length(trim(text)) >= 3 {
			return text
		}
	}
}

func TestSecretNeverStandsInAMaskedText(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		secret := randomSecret(random, false)
		text := randomText(random, 0, 20, false) + secret + randomText(random, 0, 20, false)
		if masked := maskerOf(secret).Mask(text); strings.Contains(masked, secret) {
			t.Fatalf("%q is in %q", secret, masked)
		}
	}
}

func TestFormsOfASecretAreMasked(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		secret := randomSecret(random, true)
		masker := maskerOf(secret)
		plain, _ := json.Marshal(secret)
		forms := []string{
			string(plain[1 : len(plain)-1]),
			jsonForm(secret, true),
			jsonForm(secret, false),
			reprForm(secret),
			url.QueryEscape(secret),
			inner(strconv.Quote(secret)),
			inner(strconv.QuoteToASCII(secret)),
			base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.RawURLEncoding.EncodeToString([]byte(secret)),
		}
		for _, form := range forms {
			if masked := masker.Mask("<" + form + ">"); strings.Contains(masked, form) {
				t.Fatalf("%q, a form of %q, is in %q", form, secret, masked)
			}
		}
	}
}

func TestFormsAreThoseOfPython(t *testing.T) {
	// Computed with Python's json.dumps, repr, urllib.parse and base64.
	secret := "a'b\"c\\d\n\u00e9\u4e2d\U0001f642/ +&<\x01\x7f"
	tests := map[string]string{
		jsonForm(secret, false):  "a'b\\\"c\\\\d\\n\u00e9\u4e2d\U0001f642/ +&<\\u0001\x7f",
		jsonForm(secret, true):   `a'b\"c\\d\n\u00e9\u4e2d\ud83d\ude42/ +&<\u0001\u007f`,
		reprForm(secret):         "a\\'b\"c\\\\d\\n\u00e9\u4e2d\U0001f642/ +&<\\x01\\x7f",
		percentForm(secret, ""):  "a%27b%22c%5Cd%0A%C3%A9%E4%B8%AD%F0%9F%99%82%2F%20%2B%26%3C%01%7F",
		percentForm(secret, "/"): "a%27b%22c%5Cd%0A%C3%A9%E4%B8%AD%F0%9F%99%82/%20%2B%26%3C%01%7F",
		plusForm(secret):         "a%27b%22c%5Cd%0A%C3%A9%E4%B8%AD%F0%9F%99%82%2F+%2B%26%3C%01%7F",
	}
	for got, want := range tests {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSecretThatBeginsAnotherHidesNothingOfIt(t *testing.T) {
	masked := maskerOf("pass", "password", "password1234").Mask("password1234 password pass")
	if masked != "*** *** ***" {
		t.Errorf("got %q", masked)
	}
}

func TestBasicAuthenticationIsMasked(t *testing.T) {
	password := "correct horse battery"
	hidden := base64.StdEncoding.EncodeToString([]byte(password))
	for _, login := range []string{"a", "ab", "abc", "admin"} {
		header := base64.StdEncoding.EncodeToString([]byte(login + ":" + password))
		masked := maskerOf(password).Mask("Authorization: Basic " + header)
		if !strings.Contains(masked, Mask) {
			t.Errorf("%s: nothing is masked in %q", login, masked)
		}
		for i := range len(hidden) - 12 {
			if strings.Contains(masked, hidden[i:i+12]) {
				t.Errorf("%s: a part of the password is in %q", login, masked)
			}
		}
	}
}

func TestMask(t *testing.T) {
	tests := map[string]struct {
		secrets    []string
		text, want string
	}{
		"a URL with a password": {
			[]string{"p@ss/w:rd"}, "postgresql://u:p%40ss%2Fw%3Ard@db/x and p%40ss%2fw%3ard", "postgresql://u:***@db/x and ***",
		},
		"each line of a secret": {
			[]string{"-----BEGIN KEY-----\n  abcdef\nghijkl\n-----END KEY-----\n"}, "abcdef, x ghijkl y", "***, x *** y",
		},
		"two characters are no secret": {[]string{"ab", ""}, "abab", "abab"},
		"no secrets":                   {nil, "all of it", "all of it"},
		"a form of Go's JSON":          {[]string{"a<b>&c"}, `{"x":"a\u003cb\u003e\u0026c"}`, `{"x":"***"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := maskerOf(test.secrets...).Mask(test.text); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestVariableIsASecretUnlessItIsPublic(t *testing.T) {
	masker := New()
	masker.AddVariable(&execpb.Variable{Key: "a", Value: "hidden"})
	masker.AddVariable(&execpb.Variable{Key: "b", Value: "shown", Public: true})
	masker.AddVariable(&execpb.Variable{Key: "c", Value: `{"user": "alice", "keys": ["first-key"], "size": 500}`})
	if got := masker.Mask("hidden shown alice first-key 500"); got != "*** shown *** *** 500" {
		t.Errorf("got %q", got)
	}
}

func TestSecretsOfAConnectionAreItsPasswordAndSettings(t *testing.T) {
	masker := New()
	masker.AddConnection(&execpb.Connection{
		ConnectionId: "db", Host: "db.example", Login: "bob", Password: "pa55", ExtraJson: `{"token": "tok3n"}`,
	})
	if got := masker.Mask("db db.example bob pa55 tok3n"); got != "db db.example bob *** ***" {
		t.Errorf("got %q", got)
	}
}

func TestMaskedJSONStaysJSON(t *testing.T) {
	masker := maskerOf("secret", "123", `quo"te`)
	tests := map[string]string{
		`{"a": 1}`:                       `{"a": 1}`,
		`{"z": "secret", "a": [123, 4]}`: `{"z": "***", "a": ["***", 4]}`,
		`{"secret": {"x": null, "y": true, "n": "the quo\"te"}}`: `{"***": {"x": null, "y": true, "n": "the ***"}}`,
		`[]`:                    `[]`,
		`["<secret>", 1.5e300]`: `["<***>", 1.5e300]`,
		`{"half": "secret`:      `"{\"half\": \"***"`,
		`"secret" "secret"`:     `"\"***\" \"***\""`,
	}
	for text, want := range tests {
		if got := masker.MaskJSON(text); got != want {
			t.Errorf("of %s: got %s, want %s", text, got, want)
		}
		if !json.Valid([]byte(masker.MaskJSON(text))) {
			t.Errorf("of %s: it is no JSON", text)
		}
	}
}

func TestHalfASecretAtACutIsTakenAway(t *testing.T) {
	masker := maskerOf("0123456789abcdef", "Ωmega-point")
	tests := map[string]string{
		"text 0123456789a":      "text ",
		"text 0123456789abcdef": "text ***",
		"text 01":               "text 01",
		"text Ωme":              "text ",
		"text Ωm":               "text Ωm",
	}
	for text, want := range tests {
		if got := masker.MaskCut(text); got != want {
			t.Errorf("of %q: got %q, want %q", text, got, want)
		}
	}
}

func TestFailureIsMaskedWithItsCauses(t *testing.T) {
	failure := &execpb.Failure{
		Message: "no hunter2",
		Frames:  []*execpb.Failure_Frame{{Code: "login('hunter2')"}},
		Cause:   &execpb.Failure{Message: "hunter2!", Exit: &execpb.Failure_ProcessExit{StderrTail: "was hunter2"}},
	}
	maskerOf("hunter2").MaskFailure(failure)
	if text := prototext.Format(failure); strings.Contains(text, "hunter2") {
		t.Errorf("it is in %s", text)
	}
	if got := failure.GetCause().GetExit().GetStderrTail(); got != "was ***" {
		t.Errorf("got %q", got)
	}
}

func TestSecretCountsFromWhenItIsAdded(t *testing.T) {
	masker := maskerOf("first")
	if got := masker.Mask("first second"); got != "*** second" {
		t.Errorf("got %q", got)
	}
	masker.Add("second")
	if got := masker.Mask("first second"); got != "*** ***" {
		t.Errorf("got %q", got)
	}
}

func TestFollowerKnowsWhatIsAddedBeforeAndAfter(t *testing.T) {
	leader, follower := maskerOf("before"), maskerOf("own-one")
	leader.Lead(follower)
	leader.Add("after")
	if got := follower.Mask("before after own-one"); got != "*** *** ***" {
		t.Errorf("got %q", got)
	}
	if got := leader.Mask("own-one"); got != "own-one" {
		t.Errorf("the leader learned of it: %q", got)
	}
}

func TestManyFindersAreNotKept(t *testing.T) {
	for i := range 3 * rememberedFinders {
		secret := fmt.Sprintf("secret-%d-", i)
		if got := maskerOf(secret).Mask(secret); got != Mask {
			t.Fatalf("got %q", got)
		}
	}
	remembered.Lock()
	defer remembered.Unlock()
	if len(remembered.finders) != rememberedFinders || len(remembered.order) != rememberedFinders {
		t.Errorf("%d are kept", len(remembered.finders))
	}
}
