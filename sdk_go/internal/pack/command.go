package pack

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"crosswind.dev/go/internal/packing"
	"crosswind.dev/go/sdk"
)

const usage = `Packs a Go bundle: builds it, asks it what it holds, and writes the binary with that behind it, so that workers
and people read it without running it.

  crosswind-go-pack [flags] PACKAGE -o FILE [-- flags of go build]
  crosswind-go-pack --binary FILE -o FILE
  crosswind-go-pack show FILE [--output json]

PACKAGE is the folder of the bundle's main package, such as ./cmd/flights. It is built with -trimpath and
-ldflags "-s -w"; what stands after -- is added.

flags:
  -o FILE          the packed bundle to write; replaced at once and whole
  --binary FILE    a bundle's binary that is built already, or a packed bundle, instead of a PACKAGE
  --output FORMAT  how to tell what was packed: text (default) or json
  --version        print the SDK's version
  -h, --help       print this

exit codes: 0 packed; 1 it could not be; 2 the command line is wrong
`

var errUsage = errors.New("usage")

// Main is the command crosswind-go-pack. It answers the exit code.
func Main(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	err := run(ctx, arguments, stdout, stderr)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		_, _ = fmt.Fprintf(stderr, "crosswind-go-pack: %s; see crosswind-go-pack --help\n",
			strings.TrimSuffix(err.Error(), ": "+errUsage.Error()))
		return 2
	default:
		_, _ = fmt.Fprintf(stderr, "crosswind-go-pack: %s\n", err)
		return 1
	}
}

type command struct {
	output, binary, format string
	help, version          bool
	names                  []string
	buildFlags             []string
}

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	parsed, err := parse(arguments)
	if err != nil {
		return fmt.Errorf("%w: %w", err, errUsage)
	}
	switch {
	case parsed.help:
		_, err = io.WriteString(stdout, usage)
		return err
	case parsed.version:
		_, err = fmt.Fprintf(stdout, "crosswind-go-pack %s\n", sdk.Version)
		return err
	}
	packed, err := parsed.packed(ctx, stderr)
	if err != nil {
		return err
	}
	return Show(stdout, packed, parsed.format == "json")
}

func (c *command) packed(ctx context.Context, stderr io.Writer) (*packing.Packed, error) {
	if len(c.names) > 0 && c.names[0] == "show" && c.binary == "" {
		if len(c.names) != 2 || c.output != "" || len(c.buildFlags) > 0 {
			return nil, fmt.Errorf("show takes one file: %w", errUsage)
		}
		return packing.Read(c.names[1])
	}
	request := Request{Binary: c.binary, Output: c.output, BuildFlags: c.buildFlags, Stderr: stderr}
	switch {
	case c.binary == "" && len(c.names) == 0:
		return nil, fmt.Errorf("name the bundle's main package, such as ./cmd/flights, or pass --binary: %w", errUsage)
	case c.binary != "" && (len(c.names) > 0 || len(c.buildFlags) > 0):
		return nil, fmt.Errorf("--binary is built already; drop the package and the flags of go build: %w", errUsage)
	case len(c.names) > 1:
		return nil, fmt.Errorf("there are several packages (%s); pack one at a time: %w", strings.Join(c.names, ", "), errUsage)
	case c.output == "":
		return nil, fmt.Errorf("name the file to write with -o: %w", errUsage)
	case c.binary == "":
		request.Package = c.names[0]
	}
	return Pack(ctx, request)
}

// parse takes flags before and after names.
func parse(arguments []string) (*command, error) {
	parsed := &command{}
	for index, argument := range arguments {
		if argument == "--" {
			arguments, parsed.buildFlags = arguments[:index], arguments[index+1:]
			break
		}
	}
	flags := flag.NewFlagSet("crosswind-go-pack", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&parsed.output, "o", "", "")
	flags.StringVar(&parsed.binary, "binary", "", "")
	flags.StringVar(&parsed.format, "output", "text", "")
	flags.BoolVar(&parsed.version, "version", false, "")
	flags.BoolVar(&parsed.help, "help", false, "")
	flags.BoolVar(&parsed.help, "h", false, "")
	for {
		if err := flags.Parse(arguments); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			break
		}
		parsed.names = append(parsed.names, flags.Arg(0))
		arguments = flags.Args()[1:]
	}
	if parsed.format != "text" && parsed.format != "json" {
		return nil, fmt.Errorf("there is no output format '%s'; use text or json", parsed.format)
	}
	return parsed, nil
}
