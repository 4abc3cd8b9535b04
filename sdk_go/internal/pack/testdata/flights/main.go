// Command flights is a bundle as authors write it.
package main

import (
	"fmt"
	"os"

	v1 "crosswind.dev/go/bundle/bundlev1"
	"crosswind.dev/go/sdk"
)

type bundle struct{}

func (bundle) RegisterDags(dagbag v1.Registry) error {
	fmt.Println("registering") // goes to standard error, not into the handshake
	dag := dagbag.AddDag("flights", v1.Description("Delays by carrier"))
	carriers := dag.AddTask(extract)
	stats := dag.AddTask(stats, sdk.Expand(carriers), sdk.Doc("Figures of one carrier."))
	dag.AddTask(report, sdk.Named("stats", sdk.After(stats)))
	dag.AddReference("python_bundle", "module:notify", sdk.Upstream(stats))
	return nil
}

func extract() ([]string, error) { return []string{"AA", os.Getenv("CROSSWIND_WORKER_TOKEN")}, nil }

func stats(carrier string) (map[string]float64, error) { return nil, nil }

func report(inputs struct {
	Stats []map[string]float64 `crosswind:"stats"`
}) error {
	return nil
}

func main() { v1.Serve(bundle{}) }
