// Package negotiation is what a worker and its server agree on: the API version of its own calls, and that of each bundle.
// [VER-1]
//
// Which versions this SDK speaks is in package apiversion; when to ask the server belongs to package registration.
package negotiation

import (
	"fmt"
	"slices"
	"strings"

	"crosswind.dev/go/internal/apiversion"
	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/worker/refusal"
)

// Agreement is what was agreed on.
type Agreement struct {
	// APIVersion is that of the worker's own calls.
	APIVersion string
	// Served are the versions that the server serves. Empty: it was not asked yet.
	Served []string
}

// Unasked is what holds before the server was asked.
func Unasked() Agreement { return Agreement{APIVersion: apiversion.Newest()} }

// Equal tells whether two agreements say the same.
func (a Agreement) Equal(other Agreement) bool {
	return a.APIVersion == other.APIVersion && slices.Equal(a.Served, other.Served)
}

// VersionOf is the version under which a bundle that speaks some versions, its own first, is offered and its tasks' calls
// are forwarded: the first one that the server serves, or its own where the server serves none, for the server to refuse
// it.
func (a Agreement) VersionOf(spoken []string) string {
	for _, each := range spoken {
		if slices.Contains(a.Served, each) {
			return each
		}
	}
	return spoken[0]
}

// Read reads what a server at an address answered to a request that named versions. The error is a *refusal.Error: there
// is nothing to agree on.
func Read(answer *execpb.NegotiateResponse, asked []string, address string) (Agreement, error) {
	chosen, served := answer.GetChosenApiVersion(), slices.Clone(answer.GetApiVersions())
	if slices.Contains(asked, chosen) {
		if !slices.Contains(served, chosen) {
			served = append(served, chosen)
		}
		slices.Sort(served)
		return Agreement{APIVersion: chosen, Served: served}, nil
	}
	oldest, newest := answer.GetOldestApiVersion(), answer.GetNewestApiVersion()
	shown, wayOut := apiversion.Range(oldest, newest), ""
	switch {
	case newest < slices.Min(asked):
		wayOut = "upgrade the server, or install an older worker"
	case oldest > slices.Max(asked):
		wayOut = "upgrade this worker"
	default:
		if len(served) > 0 {
			shown = strings.Join(served, ", ")
		}
		wayOut = "install a worker that speaks one of the server's versions"
	}
	return Agreement{}, &refusal.Error{Sentence: fmt.Sprintf(
		"The server at %s serves API version %s, this worker speaks %s: %s.",
		address, shown, apiversion.Range(asked...), wayOut)}
}

// SpokenBy are the API versions that a bundle speaks, its own first.
func SpokenBy(manifest *manifestpb.Manifest) []string {
	return append([]string{manifest.GetApiVersion()}, manifest.GetFurtherApiVersions()...)
}
