package settings

import (
	"fmt"
	"strings"
)

const program = "crosswind-go-worker"

// Usage says that the arguments are no settings.
type Usage struct{ sentence string }

// Error implements error. It is what to print, usage included.
func (e *Usage) Error() string {
	return fmt.Sprintf("usage: %s [--help] [--version] [SETTING ...]\n%s: error: %s", program, program, e.sentence)
}

// Shown says that a text was asked for instead of a worker.
type Shown struct {
	// Text is what to print.
	Text string
	// Version is true where the version was asked for.
	Version bool
}

// Error implements error.
func (e *Shown) Error() string { return e.Text }

// parse answers what each setting was given, by key.
func parse(arguments []string, definitions []setting) (map[string][]string, error) {
	byFlag := map[string]setting{}
	for _, each := range definitions {
		byFlag[each.flag()] = each
	}
	given := map[string][]string{}
	for i := 0; i < len(arguments); i++ {
		flag, value, joined := strings.Cut(arguments[i], "=")
		switch flag {
		case "-h", "--help":
			return nil, &Shown{Text: help(definitions)}
		case "--version":
			return nil, &Shown{Version: true}
		}
		each, known := byFlag[flag]
		if !known {
			return nil, &Usage{"unrecognized arguments: " + strings.Join(arguments[i:i+1], " ")}
		}
		if each.metavar == "" {
			if joined {
				return nil, &Usage{fmt.Sprintf("argument %s: it takes no value", flag)}
			}
			given[each.key] = []string{"true"}
			continue
		}
		if !joined {
			if i++; i >= len(arguments) || strings.HasPrefix(arguments[i], "--") {
				return nil, &Usage{fmt.Sprintf("argument %s: expected one argument", flag)}
			}
			value = arguments[i]
		}
		if each.many {
			given[each.key] = append(given[each.key], value)
		} else {
			given[each.key] = []string{value}
		}
	}
	return given, nil
}
