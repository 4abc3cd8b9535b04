package offering

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"crosswind.dev/go/internal/packing"
)

// keepCopy copies a bundle's file into a folder of the worker's, so that running tasks keep their version when the file is
// replaced. It is there whole or not at all, and only to be executed.
func keepCopy(packed *packing.Packed, folder string) (string, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(folder, packed.Manifest.GetBundleVersion())
	source, err := os.Open(packed.Path)
	if err != nil {
		return "", err
	}
	defer func() { _ = source.Close() }()
	half, err := os.CreateTemp(folder, ".half-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(half.Name()) }() // nothing is there any more once it was renamed
	digest := sha256.New()
	_, err = io.Copy(io.MultiWriter(half, digest), source)
	if err == nil {
		err = half.Chmod(0o500)
	}
	if closing := half.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return "", fmt.Errorf("its copy could not be written: %w", err)
	}
	if string(digest.Sum(nil)) != string(packed.FileSHA256[:]) {
		return "", errors.New("it changed while it was read")
	}
	return path, os.Rename(half.Name(), path)
}
