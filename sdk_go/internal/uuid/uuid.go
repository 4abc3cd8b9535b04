// Package uuid makes the ids that Go gives: of workers, requests, outcomes and runs.
package uuid

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// New makes a UUIDv7 as text: later ones sort after earlier ones.
func New() string {
	var id [16]byte
	_, _ = rand.Read(id[6:]) // it never fails: crypto/rand ends the process rather
	var moment [8]byte
	binary.BigEndian.PutUint64(moment[:], uint64(time.Now().UnixMilli()))
	copy(id[:6], moment[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[:8], id[:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:], id[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
