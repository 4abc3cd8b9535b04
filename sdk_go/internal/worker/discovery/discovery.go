// Package discovery is how a worker finds its server without being told: settings files and the note that a server
// leaves while it runs.
//
// Here belongs the search for the address, the token files and the certificate. Other settings belong to package settings.
package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/BurntSushi/toml"

	"crosswind.dev/go/internal/worker/outcomestore"
)

const (
	// DefaultAddress is tried where nothing is found: a server may be about to start there.
	DefaultAddress = "127.0.0.1:" + defaultPort

	defaultPort = "8090"
	configName  = "crosswind.toml"
)

// ConfigError is a settings file that cannot be used; the sentence names it and what to change.
type ConfigError struct{ sentence string }

// Error implements error.
func (e *ConfigError) Error() string { return e.sentence }

// Place is where the search begins.
type Place struct {
	// Getenv answers an environment variable; empty where it is not set.
	Getenv func(string) string
	// Directory is the working directory, absolute.
	Directory string
}

// Here is this process's place.
func Here() (Place, error) {
	directory, err := os.Getwd()
	return Place{Getenv: os.Getenv, Directory: directory}, err
}

// Location is where a server is.
type Location struct {
	// Address is `host:port`.
	Address string
	// Source is where the address comes from, for people.
	Source string
	// EnrolmentTokenFile holds the token that a worker registers with. Empty: not known.
	EnrolmentTokenFile string
	// TLSCertificateFile is what a server on this machine serves TLS with, and thus what to trust. Empty: not known.
	TLSCertificateFile string
	// TLSServerName is what that certificate names, where it is not the address's host.
	TLSServerName string
}

// Config is a settings file. Without one, Path is empty.
type Config struct {
	// Path of the file.
	Path string
	// Content of it.
	Content map[string]any
}

// FindServer finds the server: flag, CROSSWIND_SERVER, settings file, then the note of a server on this machine.
func (p Place) FindServer(flag string, config Config) Location {
	note := p.findNote()
	fromFile, _ := config.Content["server"].(string)
	for _, stated := range []struct{ value, source string }{
		{flag, "--server"}, {p.Getenv("CROSSWIND_SERVER"), "CROSSWIND_SERVER"}, {fromFile, config.Path},
	} {
		if stated.value == "" {
			continue
		}
		address := WithPort(stated.value)
		// The rest of the note is of use only where the note is about the same server.
		if note != nil && note.Address == address {
			found := *note
			found.Source = stated.source
			return found
		}
		return Location{Address: address, Source: stated.source}
	}
	if note != nil {
		return *note
	}
	return Location{Address: DefaultAddress, Source: "the default"}
}

// WithPort is `host` or `host:port` as `host:port`; IPv6 addresses stand in brackets where they carry a port.
func WithPort(address string) string {
	switch {
	case strings.HasPrefix(address, "["):
		if strings.Contains(address, "]:") {
			return address
		}
		return address + ":" + defaultPort
	case strings.Count(address, ":") > 1:
		return "[" + address + "]:" + defaultPort
	case strings.Contains(address, ":"):
		return address
	default:
		return address + ":" + defaultPort
	}
}

// LoadConfig reads the first settings file: crosswind.toml here or in a parent, then the user's. Its error is a
// *ConfigError.
func (p Place) LoadConfig() (Config, error) {
	var candidates []string
	for _, folder := range p.upwards() {
		candidates = append(candidates, filepath.Join(folder, configName))
	}
	candidates = append(candidates, filepath.Join(p.base("XDG_CONFIG_HOME", ".config"), "crosswind", "config.toml"))
	for _, path := range candidates {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			return Config{}, &ConfigError{fmt.Sprintf("The settings file %s cannot be read: %s.", path, outcomestore.Cause(err))}
		}
		content := map[string]any{}
		if err := toml.Unmarshal(text, &content); err != nil {
			return Config{}, &ConfigError{fmt.Sprintf("The settings file %s is not valid TOML: %s.", path,
				strings.TrimPrefix(err.Error(), "toml: "))}
		}
		return Config{Path: path, Content: content}, nil
	}
	return Config{}, nil
}

// StateHome is the folder in which this user's programs keep state: $XDG_STATE_HOME, or ~/.local/state.
func (p Place) StateHome() string { return p.base("XDG_STATE_HOME", filepath.Join(".local", "state")) }

func (p Place) findNote() *Location {
	var paths []string
	for _, folder := range p.upwards() {
		paths = append(paths, filepath.Join(folder, ".crosswind", "server.json"))
	}
	paths = append(paths, filepath.Join(p.StateHome(), "crosswind", "server.json"))
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // not there, or not ours to read
		}
		var note struct {
			Address            string `json:"address"`
			EnrolmentTokenFile string `json:"enrolment_token_file"`
			TLSCertificateFile string `json:"tls_certificate_file"`
			TLSServerName      string `json:"tls_server_name"`
		}
		if json.Unmarshal(content, &note) != nil || note.Address == "" {
			continue // half of a note: as if it were not there
		}
		return &Location{
			Address:            WithPort(note.Address),
			Source:             path,
			EnrolmentTokenFile: beside(path, note.EnrolmentTokenFile),
			TLSCertificateFile: beside(path, note.TLSCertificateFile),
			TLSServerName:      note.TLSServerName,
		}
	}
	return nil
}

// beside is a path that is meant from the folder of the note.
func beside(note, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(note), path)
}

func (p Place) upwards() []string {
	found := []string{p.Directory}
	for folder := p.Directory; filepath.Dir(folder) != folder; {
		folder = filepath.Dir(folder)
		found = append(found, folder)
	}
	return found
}

func (p Place) base(variable, otherwise string) string {
	if stated := p.Getenv(variable); filepath.IsAbs(stated) {
		return stated
	}
	home := p.Getenv("HOME")
	if home == "" {
		home, _ = os.UserHomeDir()
	}
	return filepath.Join(home, otherwise)
}
