// Package apiversion names the API versions that this SDK speaks, here and nowhere else in it. [VER-1]
//
// What a server of the day speaks is found by the worker's package negotiation.
package apiversion

import (
	"slices"
	"strings"
)

// spoken are the versions, divided by commas, newest first. The first one is what the stubs are made of and what manifests
// are written in; a further one says that all that this SDK sends can be understood in that version too, and that it
// understands what is answered in it.
//
// It is one text and a variable, so that a build can name others:
// -ldflags "-X crosswind.dev/go/internal/apiversion.spoken=2027-02-10,2026-12-01".
var spoken = "2026-12-01"

// All are the versions, newest first.
func All() []string { return strings.Split(spoken, ",") }

// Newest is the version in which this SDK is written.
func Newest() string { return All()[0] }

// Range is versions for people: `2026-12-01`, or `2026-12-01 to 2027-05-01`, in whatever order they are given.
func Range(versions ...string) string {
	oldest, newest := slices.Min(versions), slices.Max(versions)
	if oldest == newest {
		return oldest
	}
	return oldest + " to " + newest
}
