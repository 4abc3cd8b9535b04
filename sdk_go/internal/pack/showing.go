package pack

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"google.golang.org/protobuf/proto"

	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/packing"
)

// shown is a packed bundle for people and programs.
type shown struct {
	Path          string        `json:"path"`
	Bundle        string        `json:"bundle"`
	BundleVersion string        `json:"bundle_version"`
	APIVersion    string        `json:"api_version"`
	Language      string        `json:"language"`
	Compiler      string        `json:"language_version"`
	SDK           string        `json:"sdk_version"`
	SHA256        string        `json:"sha256"`
	BinaryBytes   int64         `json:"binary_bytes"`
	Dags          []shownDag    `json:"dags"`
	Offered       []shownOffer  `json:"offered_tasks"`
	Problems      []shownSource `json:"source_errors"`
}

type shownDag struct {
	DagID       string      `json:"dag_id"`
	Description string      `json:"description"`
	Source      string      `json:"source_location"`
	Tasks       []shownTask `json:"tasks"`
}

type shownTask struct {
	TaskID   string   `json:"task_id"`
	Target   string   `json:"entry_point"`
	Upstream []string `json:"upstream"`
	Mapped   bool     `json:"mapped"`
	Language string   `json:"language"`
}

type shownOffer struct {
	EntryPoint string   `json:"entry_point"`
	Parameters []string `json:"parameter_names"`
	Doc        string   `json:"doc"`
}

type shownSource struct {
	Source  string `json:"source"`
	Message string `json:"message"`
}

// Show writes what a packed bundle holds, as JSON or for people.
func Show(output io.Writer, packed *packing.Packed, asJSON bool) error {
	made, err := describe(packed)
	if err != nil {
		return err
	}
	if asJSON {
		encoder := json.NewEncoder(output)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(made)
	}
	return made.write(output)
}

func describe(packed *packing.Packed) (*shown, error) {
	manifest := packed.Manifest
	made := &shown{
		Path:          packed.Path,
		Bundle:        manifest.GetBundle(),
		BundleVersion: manifest.GetBundleVersion(),
		APIVersion:    manifest.GetApiVersion(),
		Language:      manifest.GetSdk().GetLanguage(),
		Compiler:      manifest.GetSdk().GetLanguageVersion(),
		SDK:           manifest.GetSdk().GetVersion(),
		SHA256:        fmt.Sprintf("%x", packed.FileSHA256),
		BinaryBytes:   packed.BinaryBytes,
		Dags:          []shownDag{},
		Offered:       []shownOffer{},
		Problems:      []shownSource{},
	}
	for _, each := range manifest.GetDags() {
		var dag manifestpb.Dag
		if err := proto.Unmarshal(each.GetDag(), &dag); err != nil {
			return nil, fmt.Errorf("the DAG '%s' in %s cannot be read: %w", each.GetDagId(), packed.Path, err)
		}
		made.Dags = append(made.Dags, describeDag(&dag))
	}
	for _, each := range manifest.GetOfferedTasks() {
		made.Offered = append(made.Offered, shownOffer{
			each.GetEntryPoint(), append([]string{}, each.GetParameterNames()...), each.GetDoc(),
		})
	}
	for _, each := range manifest.GetSourceErrors() {
		made.Problems = append(made.Problems, shownSource{each.GetSource(), each.GetMessage()})
	}
	return made, nil
}

func describeDag(dag *manifestpb.Dag) shownDag {
	made := shownDag{DagID: dag.GetDagId(), Description: dag.GetDescription(), Source: dag.GetSourceLocation()}
	for _, each := range dag.GetTasks() {
		task := shownTask{
			TaskID: each.GetTaskId(), Target: each.GetEntryPoint(), Upstream: []string{},
			Mapped: each.GetMapping() != nil, Language: each.GetLanguage(),
		}
		if reference := each.GetReference(); reference != nil {
			task.Target = fmt.Sprintf("%s of bundle %s", reference.GetEntryPoint(), reference.GetBundle())
		}
		for _, edge := range each.GetUpstream() {
			task.Upstream = append(task.Upstream, edge.GetTaskId())
		}
		made.Tasks = append(made.Tasks, task)
	}
	return made
}

func (s *shown) write(output io.Writer) error {
	table := tabwriter.NewWriter(output, 0, 0, 2, ' ', 0)
	line := func(format string, arguments ...any) {
		_, _ = fmt.Fprintf(table, format+"\n", arguments...) // Flush tells what went wrong
	}
	line("bundle\t%s", s.Bundle)
	line("version\t%s", s.BundleVersion)
	line("built with\t%s %s, crosswind %s, API %s", s.Language, s.Compiler, s.SDK, s.APIVersion)
	line("binary\t%.1f MB", float64(s.BinaryBytes)/1e6)
	for _, dag := range s.Dags {
		line("")
		line("DAG %s\t%s\t%s", dag.DagID, dag.Source, dag.Description)
		for _, task := range dag.Tasks {
			notes := []string{}
			if task.Mapped {
				notes = append(notes, "mapped")
			}
			if len(task.Upstream) > 0 {
				notes = append(notes, "after "+strings.Join(task.Upstream, ", "))
			}
			line("  %s\t%s\t%s", task.TaskID, task.Target, strings.Join(notes, "; "))
		}
	}
	if len(s.Offered) > 0 {
		line("")
		line("offered to other bundles")
	}
	for _, each := range s.Offered {
		doc, _, _ := strings.Cut(each.Doc, "\n")
		line("  %s\t%s\t%s", each.EntryPoint, strings.Join(each.Parameters, ", "), doc)
	}
	for _, each := range s.Problems {
		line("%s: %s", each.Source, each.Message)
	}
	return table.Flush()
}
