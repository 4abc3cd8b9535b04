package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"crosswind.dev/go/internal/packing"
)

// Request is what is to be packed.
type Request struct {
	// Package is the main package, as `go build` takes it. Empty where Binary is given.
	Package string
	// Binary is a bundle's binary that is built already.
	Binary string
	// BuildFlags are given to `go build` besides -trimpath and -ldflags "-s -w".
	BuildFlags []string
	// Output is the file to write.
	Output string
	// Stderr takes what the compiler says.
	Stderr io.Writer
}

// Pack builds, asks and writes. Its errors are sentences for people.
func Pack(ctx context.Context, request Request) (*packing.Packed, error) {
	binary := request.Binary
	if binary == "" {
		folder, err := os.MkdirTemp("", "crosswind-go-pack-")
		if err != nil {
			return nil, fmt.Errorf("there is no room to build in: %w", err)
		}
		defer func() { _ = os.RemoveAll(folder) }() // the system cleans its temporary folder too
		binary = filepath.Join(folder, "bundle")
		if err := build(ctx, request, binary); err != nil {
			return nil, err
		}
	}
	full, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(full); err != nil {
		return nil, fmt.Errorf("the binary %s cannot be read: %w", binary, errors.Unwrap(err))
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the binary %s is no file; name one that `go build` wrote", binary)
	}
	manifest, err := ask(ctx, full)
	if err != nil {
		return nil, err
	}
	return packing.Write(full, manifest, request.Output)
}

func build(ctx context.Context, request Request, output string) error {
	compiler, err := exec.LookPath("go")
	if err != nil {
		return errors.New("there is no `go` on the PATH to build with; install Go, or pass a binary with --binary")
	}
	arguments := append([]string{"build", "-trimpath", "-ldflags", "-s -w"}, request.BuildFlags...)
	folder, target := "", request.Package
	if info, err := os.Stat(request.Package); err == nil && info.IsDir() {
		// Inside the folder, so that the module around it counts and not the one around us.
		folder, target = request.Package, "."
	}
	command := exec.CommandContext(ctx, compiler, append(arguments, "-o", output, target)...)
	command.Dir = folder
	command.Stdout, command.Stderr = request.Stderr, request.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("the package %s does not build: %w", request.Package, err)
	}
	return nil
}
