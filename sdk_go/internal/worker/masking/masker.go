// Package masking is secrets and their masking: what is never to leave the worker in a log or a failure. [BYTES-1]
//
// Here belongs which texts are secrets, in which forms they appear, and replacing them. Where texts come from belongs to
// packages attemptlog and attempt.
package masking

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
)

// Mask is what stands in a secret's place.
const Mask = "***"

// A shorter secret would mask half of every log and protect nothing.
const shortest = 3

// Masker holds the secrets of one attempt, or of a process that runs several. They grow while it runs; what finds them
// is made when it is needed next. Several goroutines may use it at once.
type Masker struct {
	mu       sync.Mutex
	secrets  map[string]struct{}
	finder   *finder
	stale    bool
	follower *Masker
}

// New makes a masker without secrets.
func New() *Masker { return &Masker{secrets: map[string]struct{}{}} }

// Lead has another masker know every secret that this one knows and will know.
func (m *Masker) Lead(follower *Masker) {
	m.mu.Lock()
	m.follower = follower
	known := make([]string, 0, len(m.secrets))
	for secret := range m.secrets {
		known = append(known, secret)
	}
	m.mu.Unlock()
	for _, secret := range known {
		follower.Add(secret)
	}
}

// Add registers a secret: from now on it is masked. Of one with several lines, each line is one too.
func (m *Masker) Add(secret string) {
	if len(secret) < shortest {
		return
	}
	m.mu.Lock()
	m.take(secret)
	for _, line := range lines(secret) {
		m.take(line)
	}
	follower := m.follower
	m.mu.Unlock()
	if follower != nil {
		follower.Add(secret)
	}
}

func (m *Masker) take(secret string) {
	for _, text := range [...]string{secret, trim(secret)} {
		if _, known := m.secrets[text]; !known && length(text) >= shortest {
			m.secrets[text] = struct{}{}
			m.stale = true
		}
	}
}

// AddVariable registers the value of a variable that is not public; of a JSON value also the strings in it.
func (m *Masker) AddVariable(variable *execpb.Variable) {
	if !variable.GetPublic() {
		m.Add(variable.GetValue())
		m.addJSON(variable.GetValue())
	}
}

// AddConnection registers the password and the strings among the further settings.
func (m *Masker) AddConnection(connection *execpb.Connection) {
	m.Add(connection.GetPassword())
	m.Add(connection.GetExtraJson())
	m.addJSON(connection.GetExtraJson())
}

// Mask is the text with every secret, in any of its forms, replaced.
func (m *Masker) Mask(text string) string {
	found := m.compiled()
	if found == nil {
		return text
	}
	return found.replace(text)
}

// MaskCut is Mask for a text whose end has been cut off: half a secret at its end is taken away too.
func (m *Masker) MaskCut(text string) string {
	masked := m.Mask(text)
	m.mu.Lock()
	defer m.mu.Unlock()
	longest := 0
	for secret := range m.secrets {
		for end := len(secret) - 1; end > longest; end-- {
			if utf8.RuneStart(secret[end]) && length(secret[:end]) >= shortest && strings.HasSuffix(masked, secret[:end]) {
				longest = end
				break
			}
		}
	}
	return masked[:len(masked)-longest]
}

// MaskFailure masks a failure and its causes in place.
func (m *Masker) MaskFailure(failure *execpb.Failure) {
	if m.compiled() == nil {
		return
	}
	for ; failure != nil; failure = failure.GetCause() {
		failure.Message = m.Mask(failure.GetMessage())
		for _, frame := range failure.GetFrames() {
			frame.Code = m.Mask(frame.GetCode())
		}
		if exit := failure.GetExit(); exit != nil {
			exit.StderrTail = m.Mask(exit.GetStderrTail())
		}
	}
}

func (m *Masker) addJSON(text string) {
	if text == "" || !strings.Contains(`{["`, text[:1]) {
		return
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) == nil {
		m.addStrings(value)
	}
}

func (m *Masker) addStrings(value any) {
	switch value := value.(type) {
	case string:
		m.Add(value)
	case map[string]any:
		for _, item := range value {
			m.addStrings(item)
		}
	case []any:
		for _, item := range value {
			m.addStrings(item)
		}
	}
}

func (m *Masker) compiled() *finder {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stale {
		known := make([]string, 0, len(m.secrets))
		for secret := range m.secrets {
			known = append(known, secret)
		}
		slices.Sort(known)
		m.finder = compile(known)
		m.stale = false
	}
	return m.finder
}
