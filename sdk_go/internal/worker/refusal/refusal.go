// Package refusal is the one error that ends a worker: its server will not have it, at once or any more.
package refusal

// Error says why a server will not have a worker, in one sentence with the way out.
type Error struct {
	// Sentence is for people.
	Sentence string
}

// Error implements error.
func (e *Error) Error() string { return e.Sentence }
