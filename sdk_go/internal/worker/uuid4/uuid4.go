// Package uuid4 makes the random ids that a worker gives: of itself, of requests and of outcomes.
package uuid4

import (
	"crypto/rand"
	"encoding/hex"
)

// New makes a random UUID as text.
func New() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // it never fails
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[:8], raw[:4])
	hex.Encode(text[9:13], raw[4:6])
	hex.Encode(text[14:18], raw[6:8])
	hex.Encode(text[19:23], raw[8:10])
	hex.Encode(text[24:], raw[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
