// Package packing reads and writes packed bundles: a binary with its manifest behind it, so that what a bundle holds is
// known without running it.
//
//	<binary> <manifest> <8 bytes: length of the manifest> <32 bytes: SHA-256 of the binary> <16 bytes: magic>
//
// Numbers are big-endian; the manifest is a serialized crosswind.manifest.v1.Manifest. An ELF loader ignores what stands
// behind its sections, so a packed bundle is an executable like the binary in it. How a manifest comes to be is not known
// here.
package packing

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"

	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
)

// Magic ends every packed bundle.
const Magic = "CROSSWIND-BNDL/1"

const (
	magicFamily  = "CROSSWIND-BNDL/"
	trailerBytes = 8 + sha256.Size + len(Magic)
	// A manifest travels in messages of 4 MiB; one that is far beyond is a damaged length.
	maxManifestBytes = 256 * 1024 * 1024
)

// ErrNotPacked says that a file has no manifest behind it.
var ErrNotPacked = errors.New("it is not a packed bundle")

// ErrDamaged says that a packed bundle is not what was packed.
var ErrDamaged = errors.New("it is damaged")

// Error says what is wrong with a file. errors.Is tells ErrNotPacked from ErrDamaged and from errors of the file system.
type Error struct {
	// Path is the file.
	Path string
	// Problem is a sentence without subject, such as "is 12 bytes short; pack it again".
	Problem string
	// Err is ErrNotPacked, ErrDamaged or what the file system said.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("The bundle %s %s.", e.Path, e.Problem) }

// Unwrap implements errors.Unwrap.
func (e *Error) Unwrap() error { return e.Err }

// Digest is the SHA-256 of a bundle's binary.
type Digest [sha256.Size]byte

// Version is the bundle's version: the digest's first 16 bytes in hexadecimal.
func (d Digest) Version() string { return hex.EncodeToString(d[:16]) }

// Packed is a packed bundle.
type Packed struct {
	// Path is the file.
	Path string
	// Manifest is what the bundle holds.
	Manifest *manifestpb.Manifest
	// Digest is of the binary, without what was appended.
	Digest Digest
	// BinaryBytes is the length of the binary.
	BinaryBytes int64
	// FileSHA256 is of the whole file, as go-plugin's SecureConfig wants it.
	FileSHA256 [sha256.Size]byte
}

// Read reads a packed bundle, and every byte of it: whoever runs it afterwards runs what was packed. It executes
// nothing. Its errors are *Error.
func Read(path string) (*Packed, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, &Error{Path: path, Problem: fmt.Sprintf("cannot be read: %v", reason(err)), Err: err}
	}
	defer func() { _ = file.Close() }() // it was only read
	packed, rest, err := readTrailer(file, path)
	if err != nil {
		return nil, err
	}
	digest, whole := sha256.New(), sha256.New()
	body := io.NewSectionReader(file, 0, packed.BinaryBytes)
	if _, err := io.Copy(io.MultiWriter(digest, whole), body); err != nil {
		return nil, &Error{Path: path, Problem: fmt.Sprintf("cannot be read: %v", reason(err)), Err: err}
	}
	if !bytes.Equal(digest.Sum(nil), packed.Digest[:]) {
		return nil, damaged(path, "is damaged: its binary has another SHA-256 than when it was packed; pack it again, or "+
			"copy it again")
	}
	whole.Write(rest)
	whole.Sum(packed.FileSHA256[:0])
	return packed, nil
}

// VersionOf is the version of the bundle in an executable, packed or not. Of a packed one the binary's bytes are not read.
func VersionOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", &Error{Path: path, Problem: fmt.Sprintf("cannot be read: %v", reason(err)), Err: err}
	}
	defer func() { _ = file.Close() }()
	packed, _, err := readTrailer(file, path)
	if err == nil {
		return packed.Digest.Version(), nil
	}
	if !errors.Is(err, ErrNotPacked) {
		return "", err
	}
	digest, err := digestOf(file)
	if err != nil {
		return "", &Error{Path: path, Problem: fmt.Sprintf("cannot be read: %v", reason(err)), Err: err}
	}
	return digest.Version(), nil
}

// IsPacked says whether a file ends as packed bundles do, damaged or not.
func IsPacked(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	_, _, err = readTrailer(file, path)
	return err == nil || errors.Is(err, ErrDamaged)
}

// Write packs the binary in a file, which may be packed already, with a manifest; its bundle_version is set to the
// binary's. The output appears whole or not at all, executable, in place of what was there.
func Write(binaryPath string, manifest *manifestpb.Manifest, outputPath string) (*Packed, error) {
	file, err := os.Open(binaryPath)
	if err != nil {
		return nil, fmt.Errorf("the binary %s cannot be read: %w", binaryPath, reason(err))
	}
	defer func() { _ = file.Close() }()
	var source io.ReaderAt = file
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("the binary %s cannot be read: %w", binaryPath, reason(err))
	}
	size := info.Size()
	if before, _, err := readTrailer(file, binaryPath); err == nil {
		size = before.BinaryBytes
	} else if !errors.Is(err, ErrNotPacked) {
		return nil, err
	}
	output, err := os.CreateTemp(filepath.Dir(outputPath), "."+filepath.Base(outputPath)+".*")
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", outputPath, reason(err))
	}
	defer func() { _ = os.Remove(output.Name()) }() // nothing is there any more once it was renamed
	packed, err := write(output, io.NewSectionReader(source, 0, size), size, manifest)
	if closing := output.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(output.Name(), outputPath)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", outputPath, reason(err))
	}
	packed.Path = outputPath
	return packed, nil
}

func write(output *os.File, body io.Reader, size int64, manifest *manifestpb.Manifest) (*Packed, error) {
	digest, whole := sha256.New(), sha256.New()
	if _, err := io.Copy(io.MultiWriter(output, digest, whole), body); err != nil {
		return nil, err
	}
	packed := &Packed{BinaryBytes: size, Manifest: proto.CloneOf(manifest)}
	digest.Sum(packed.Digest[:0])
	packed.Manifest.BundleVersion = packed.Digest.Version()
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(packed.Manifest)
	if err != nil {
		return nil, err
	}
	trailer := binary.BigEndian.AppendUint64(data, uint64(len(data)))
	trailer = append(append(trailer, packed.Digest[:]...), Magic...)
	if _, err := output.Write(trailer); err != nil {
		return nil, err
	}
	whole.Write(trailer)
	whole.Sum(packed.FileSHA256[:0])
	if err := output.Chmod(0o755); err != nil {
		return nil, err
	}
	return packed, output.Sync()
}

// readTrailer reads what stands behind the binary, and the bytes of it all.
func readTrailer(file *os.File, path string) (*Packed, []byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, nil, &Error{Path: path, Problem: fmt.Sprintf("cannot be read: %v", reason(err)), Err: err}
	}
	size := info.Size()
	notPacked := &Error{
		Path: path, Problem: "is not packed: it has no manifest behind it; pack it with crosswind-go-pack", Err: ErrNotPacked,
	}
	if !info.Mode().IsRegular() {
		return nil, nil, &Error{Path: path, Problem: "is no file; name a file that crosswind-go-pack wrote", Err: ErrNotPacked}
	}
	if size < int64(trailerBytes) {
		return nil, nil, notPacked
	}
	trailer := make([]byte, trailerBytes)
	if _, err := file.ReadAt(trailer, size-int64(trailerBytes)); err != nil {
		return nil, nil, &Error{Path: path, Problem: fmt.Sprintf("cannot be read: %v", reason(err)), Err: err}
	}
	if magic := string(trailer[8+sha256.Size:]); magic != Magic {
		if version, isOurs := strings.CutPrefix(magic, magicFamily); isOurs {
			return nil, nil, damaged(path, fmt.Sprintf(
				"was packed in the format %q, and this program knows %s only; pack it again with the same version", version, Magic))
		}
		return nil, nil, notPacked
	}
	length := binary.BigEndian.Uint64(trailer)
	if length > maxManifestBytes || int64(length) > size-int64(trailerBytes) {
		return nil, nil, damaged(path, fmt.Sprintf(
			"is damaged: its manifest is said to have %d bytes, and the whole file has %d; pack it again", length, size))
	}
	packed := &Packed{Path: path, BinaryBytes: size - int64(trailerBytes) - int64(length), Manifest: &manifestpb.Manifest{}}
	copy(packed.Digest[:], trailer[8:])
	rest := make([]byte, int64(length), int64(length)+int64(trailerBytes))
	if _, err := file.ReadAt(rest, packed.BinaryBytes); err != nil {
		return nil, nil, &Error{Path: path, Problem: fmt.Sprintf("cannot be read: %v", reason(err)), Err: err}
	}
	if err := proto.Unmarshal(rest, packed.Manifest); err != nil {
		return nil, nil, damaged(path, "is damaged: its manifest cannot be read; pack it again")
	}
	if packed.Manifest.BundleVersion != packed.Digest.Version() {
		return nil, nil, damaged(path, "is damaged: its manifest is another version's; pack it again")
	}
	return packed, append(rest, trailer...), nil
}

func digestOf(file *os.File) (Digest, error) {
	var digest Digest
	hash := sha256.New()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return digest, err
	}
	if _, err := io.Copy(hash, file); err != nil {
		return digest, err
	}
	hash.Sum(digest[:0])
	return digest, nil
}

func damaged(path, problem string) *Error {
	return &Error{Path: path, Problem: problem, Err: ErrDamaged}
}

// reason is what the file system said, without the path that our sentence names already.
func reason(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
