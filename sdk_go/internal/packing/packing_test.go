package packing_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/packing"
)

var body = bytes.Repeat([]byte("\x7fELF binary "), 1000)

func packed(t *testing.T) (path string, data []byte) {
	t.Helper()
	folder := t.TempDir()
	binary := filepath.Join(folder, "binary")
	if err := os.WriteFile(binary, body, 0o600); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(folder, "bundle")
	manifest := &manifestpb.Manifest{Bundle: "flights", ApiVersion: "2026-12-01"}
	if _, err := packing.Write(binary, manifest, path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, data
}

func TestWhatWasPackedIsRead(t *testing.T) {
	path, data := packed(t)
	read, err := packing.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if read.Manifest.GetBundle() != "flights" || read.BinaryBytes != int64(len(body)) {
		t.Errorf("read %v of %d bytes", read.Manifest, read.BinaryBytes)
	}
	if version := read.Digest.Version(); read.Manifest.GetBundleVersion() != version || len(version) != 32 {
		t.Errorf("version %q, digest's %q", read.Manifest.GetBundleVersion(), version)
	}
	if !bytes.HasPrefix(data, body) || !bytes.HasSuffix(data, []byte(packing.Magic)) {
		t.Error("the file is not binary, manifest, trailer")
	}
	for _, path := range []string{path, filepath.Join(filepath.Dir(path), "binary")} {
		if version, err := packing.VersionOf(path); err != nil || version != read.Digest.Version() {
			t.Errorf("%s has version %q, %v", path, version, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".bundle.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPackingAgainGivesTheSameFile(t *testing.T) {
	path, data := packed(t)
	again := path + "2"
	if _, err := packing.Write(path, &manifestpb.Manifest{Bundle: "flights", ApiVersion: "2026-12-01"}, again); err != nil {
		t.Fatal(err)
	}
	if found, err := os.ReadFile(again); err != nil || !bytes.Equal(found, data) {
		t.Errorf("%d bytes instead of %d, %v", len(found), len(data), err)
	}
}

func TestDamageIsRefused(t *testing.T) {
	_, whole := packed(t)
	manifestAt := len(body)
	lengthAt := len(whole) - len(packing.Magic) - 32 - 8
	change := func(at int) []byte {
		changed := bytes.Clone(whole)
		changed[at] ^= 1
		return changed
	}
	huge := bytes.Clone(whole)
	copy(huge[lengthAt:], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	other, err := proto.Marshal(&manifestpb.Manifest{Bundle: "flights", BundleVersion: strings.Repeat("0", 32)})
	if err != nil {
		t.Fatal(err)
	}
	foreign := append(bytes.Clone(body), other...)
	foreign = append(foreign, 0, 0, 0, 0, 0, 0, 0, byte(len(other)))
	foreign = append(foreign, whole[len(whole)-len(packing.Magic)-32:]...)
	cases := []struct {
		name string
		data []byte
		kind error
		want string
	}{
		{"empty", nil, packing.ErrNotPacked, "is not packed: it has no manifest behind it; pack it with crosswind-go-pack."},
		{"a binary", body, packing.ErrNotPacked, "is not packed: it has no manifest behind it; pack it with crosswind-go-pack."},
		{"cut short", whole[:len(whole)-1], packing.ErrNotPacked,
			"is not packed: it has no manifest behind it; pack it with crosswind-go-pack."},
		{"another format", append(bytes.Clone(whole[:len(whole)-1]), '2'), packing.ErrDamaged, "was packed in the format \"2\", " +
			"and this program knows CROSSWIND-BNDL/1 only; pack it again with the same version."},
		{"first byte", change(0), packing.ErrDamaged, "is damaged: its binary has another SHA-256 than when it was packed; " +
			"pack it again, or copy it again."},
		{"last byte of the binary", change(len(body) - 1), packing.ErrDamaged, "is damaged: its binary has another SHA-256 " +
			"than when it was packed; pack it again, or copy it again."},
		{"begin cut off", whole[1:], packing.ErrDamaged, "is damaged: its binary has another SHA-256 than when it was packed; " +
			"pack it again, or copy it again."},
		{"manifest", change(manifestAt), packing.ErrDamaged, "is damaged: its manifest cannot be read; pack it again."},
		{"length too large", huge, packing.ErrDamaged, "is damaged: its manifest is said to have 18446744073709551615 bytes, "},
		{"digest", change(lengthAt + 8), packing.ErrDamaged, "is damaged: its manifest is another version's; pack it again."},
		{"another's manifest", foreign, packing.ErrDamaged, "is damaged: its manifest is another version's; pack it again."},
	}
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bundle")
			if err := os.WriteFile(path, each.data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := packing.Read(path)
			var told *packing.Error
			if !errors.As(err, &told) || !errors.Is(err, each.kind) ||
				!strings.HasPrefix(err.Error(), "The bundle "+path+" "+each.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// No single changed byte of binary or trailer goes unnoticed.
func TestEveryByteCounts(t *testing.T) {
	path, whole := packed(t)
	trailer := len(whole) - len(packing.Magic) - 32 - 8
	for at := range whole {
		if at%997 != 0 && at < trailer || at >= len(body) && at < trailer {
			continue
		}
		changed := bytes.Clone(whole)
		changed[at] ^= 0x40
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := packing.Read(path); err == nil {
			t.Errorf("byte %d of %d was changed, and nobody noticed", at, len(whole))
		}
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	folder := t.TempDir()
	_, err := packing.Read(filepath.Join(folder, "missing"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasSuffix(err.Error(), "missing cannot be read: no such file or directory.") {
		t.Errorf("got %v", err)
	}
	_, err = packing.Read(folder)
	if err == nil || !strings.HasSuffix(err.Error(), "is no file; name a file that crosswind-go-pack wrote.") {
		t.Errorf("got %v", err)
	}
}

func TestWritingFailsWithoutTrace(t *testing.T) {
	path, _ := packed(t)
	_, err := packing.Write(path, &manifestpb.Manifest{}, filepath.Join(filepath.Dir(path), "missing", "bundle"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
