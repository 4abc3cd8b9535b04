// Package pack is what crosswind-go-pack does: build a bundle's binary, ask it what it holds, and write it with that behind
// it. The file's format is package packing's.
package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"

	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/plugin"
)

const (
	startTimeout = time.Minute
	tailBytes    = 16 * 1024
)

// ask launches a bundle's binary once and asks it what it holds. What it says of itself at its end is in the error.
func ask(ctx context.Context, binary string) (*manifestpb.Manifest, error) {
	output := &tail{}
	command := exec.Command(binary)
	command.Env = environment(os.Environ())
	client := goplugin.NewClient(&goplugin.ClientConfig{
		Cmd:              command,
		HandshakeConfig:  plugin.Handshake,
		VersionedPlugins: plugin.HostPlugins(),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     startTimeout,
		Stderr:           output,
		Logger:           hclog.NewNullLogger(),
	})
	defer client.Kill()
	manifest, err := getManifest(ctx, client)
	if err == nil {
		return manifest, nil
	}
	client.Kill() // so that all that it wrote has been read
	said := strings.TrimSpace(output.String())
	switch {
	case said != "":
		return nil, errors.New(said)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%s cannot be run: it is not executable; chmod +x it", binary)
	default:
		return nil, fmt.Errorf("%s did not answer as a bundle does: %s; is v1.Serve the last line of its main?", binary,
			firstLine(err.Error()))
	}
}

func getManifest(ctx context.Context, client *goplugin.Client) (*manifestpb.Manifest, error) {
	protocol, err := client.Client()
	if err != nil {
		return nil, err
	}
	dispensed, err := protocol.Dispense(plugin.Name)
	if err != nil {
		return nil, err
	}
	bundle, is := dispensed.(bundlepb.BundleServiceClient)
	if !is {
		return nil, fmt.Errorf("it serves a %T", dispensed)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	answer, err := bundle.GetManifest(ctx, &bundlepb.GetManifestRequest{})
	return answer.GetManifest(), err
}

// environment is what a worker hands on to a bundle: not its tokens, and nothing that go-plugin takes for its own.
func environment(own []string) []string {
	var kept []string
	for _, entry := range own {
		name, _, _ := strings.Cut(entry, "=")
		isToken := strings.HasPrefix(name, "CROSSWIND_") && strings.Contains(name, "TOKEN")
		if !isToken && !strings.HasPrefix(name, "PLUGIN_") {
			kept = append(kept, entry)
		}
	}
	return kept
}

// tail keeps the end of what is written to it.
type tail struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (t *tail) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buffer.Write(data)
	if extra := t.buffer.Len() - tailBytes; extra > 0 {
		t.buffer.Next(extra)
	}
	return len(data), nil
}

// String is what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buffer.String()
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSuffix(line, ".")
}
