// Package guard is a process between a worker and the processes of its bundles, which outlives the worker just long
// enough to leave nothing behind. [STOP-1]
//
// A parent-death signal reaches children but not grandchildren, and a process that called setsid is in no group that one
// could signal. So the guard is the parent of them all: it starts them, adopts every orphan below it, tells how each
// ended, and when its socket to the worker closes, however the worker ended, kills until it has no child left. It runs
// no code of authors.
//
// It is the worker's own program, started again with one argument that the package's init looks for, so that any program
// that has a worker in it has a guard too.
package guard

import (
	"encoding/binary"
	"encoding/json"
)

// argument is what makes the program a guard.
const argument = "crosswind-guard-of-bundles"

// marker is the environment variable by which the guard knows whose descendant an orphan is.
const marker = "CROSSWIND_BUNDLE_PROCESS"

// order is what the worker wants.
type order struct {
	// Start a process under this number; its standard output and error come with the message.
	Start int `json:"start,omitempty"`
	// Path, Arguments, Environment and Directory of that process.
	Path        string   `json:"path,omitempty"`
	Arguments   []string `json:"arguments,omitempty"`
	Environment []string `json:"environment,omitempty"`
	Directory   string   `json:"directory,omitempty"`
	// Signal a process's group; SignalNumber says with what.
	Signal       int `json:"signal,omitempty"`
	SignalNumber int `json:"signal_number,omitempty"`
	// Remove a folder at the end.
	Remove string `json:"remove,omitempty"`
}

// report is what became of it.
type report struct {
	// Started is the number of a process that runs, under ProcessID.
	Started   int `json:"started,omitempty"`
	ProcessID int `json:"process_id,omitempty"`
	// Failed is the number of a process that could not be started; Errno says why.
	Failed int `json:"failed,omitempty"`
	Errno  int `json:"errno,omitempty"`
	// Exited is the number of a process that has ended: its wait status, and what it used.
	Exited    int    `json:"exited,omitempty"`
	Status    uint32 `json:"status,omitempty"`
	CPUMicros int64  `json:"cpu_micros,omitempty"`
	MaxMemory int64  `json:"max_memory,omitempty"`
}

// A message is four bytes of length and JSON.
func encode(message any) []byte {
	content, _ := json.Marshal(message) // plain fields
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
}

// split takes the first message off what has been read. Nil: it is not complete yet.
func split(read []byte) (content, rest []byte) {
	if len(read) < 4 {
		return nil, read
	}
	size := int(binary.BigEndian.Uint32(read))
	if len(read) < 4+size {
		return nil, read
	}
	return read[4 : 4+size], read[4+size:]
}
