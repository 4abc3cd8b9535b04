package hosting

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"crosswind.dev/go/internal/worker/executor"
)

func TestBundleOfAnOlderPluginVersionRunsInAWorkerThatSpeaksBoth(t *testing.T) {
	s := newStand(t)
	s.services.PluginVersions = []int{1, 2}
	if s.pid(t) == "" {
		t.Error("it told nothing")
	}
	for each := range s.processes {
		if got := each.client.NegotiatedVersion(); got != 1 {
			t.Errorf("version %d was agreed on", got)
		}
	}
}

func TestBundleOfANewerPluginVersionIsRefusedBeforeATaskReachesIt(t *testing.T) {
	s := newStand(t)
	t.Setenv(mode, "plugin 2")
	_, err := s.try(t, "answer", newHost())
	want := "The process of the bundle tested serves version 2 of the plugin, and this worker speaks 1: upgrade the older of the two."
	var gone *executor.GoneError
	if !errors.As(err, &gone) || !strings.HasPrefix(gone.Sentence, want) {
		t.Errorf("got %v", err)
	}
	// A worker that speaks it too takes it, as far as this bundle goes.
	s.services.PluginVersions = []int{1, 2}
	end := endOf(t, s.begin(t, "answer", newHost()))
	if end.Refusal == nil || end.Refusal.Code != codes.Unimplemented {
		t.Errorf("got %+v", end)
	}
}
