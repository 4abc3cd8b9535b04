// Package document holds the documents to what compiles.
package document

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../.."

var (
	block    = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	packages = map[string]string{
		"context": `"context"`, "errors": `"errors"`, "fmt": `"fmt"`, "slog": `"log/slog"`, "time": `"time"`,
		"v1": `v1 "crosswind.dev/go/bundle/bundlev1"`, "sdk": `"crosswind.dev/go/sdk"`,
	}
)

// Every block of Go in the documents passes the compiler: one without a package clause is given that, the
// imports that it uses, and a main.
func TestEveryBlockCompiles(t *testing.T) {
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	documents = append(documents, filepath.Join(root, "README.md"), filepath.Join(root, "docs", "go.md"))
	folder := t.TempDir()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	arguments := []string{"build", "-overlay", filepath.Join(folder, "overlay.json")}
	seen := map[string]bool{}
	for _, document := range documents {
		if seen[document] {
			continue
		}
		seen[document] = true
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range block.FindAllSubmatchIndex(text, -1) {
			line := strings.Count(string(text[:found[2]]), "\n") + 1
			name := fmt.Sprintf("%s_%d", strings.TrimSuffix(filepath.Base(document), ".md"), line)
			file := filepath.Join(folder, name+".go")
			if err := os.WriteFile(file, []byte(complete(string(text[found[2]:found[3]]))), 0o600); err != nil {
				t.Fatal(err)
			}
			replace[filepath.Join(here, name, "main.go")] = file
			arguments = append(arguments, "./"+name)
		}
	}
	if len(replace) < 7 {
		t.Fatalf("only %d blocks were found", len(replace))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command("go", arguments...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

func complete(source string) string {
	if strings.HasPrefix(source, "package ") {
		return source
	}
	var imports strings.Builder
	for name, path := range packages {
		if regexp.MustCompile(`\b` + name + `\.[A-Z]`).MatchString(source) {
			fmt.Fprintf(&imports, "import %s\n", path)
		}
	}
	return "package main\n\n" + imports.String() + "\n" + source + "\nfunc main() {}\n"
}
