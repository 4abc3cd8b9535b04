// Command flights is a bundle with the flights pipeline in Go: the whole DAG, flights_go, and its tasks for DAGs of other
// bundles. The DAG flights in ../dags/flights.py is written in Python and has carrier_stats done here.
//
//	crosswind-go-pack . -o flights_go.bundle
//	crosswind-go-worker --server HOST:PORT --token-file FILE --bundle flights_go.bundle
package main

import (
	v1 "crosswind.dev/go/bundle/bundlev1"
	"crosswind.dev/go/sdk"
)

type flights struct{}

// RegisterDags implements v1.Bundle.
func (flights) RegisterDags(dagbag v1.Registry) error {
	dag := dagbag.AddDag("flights_go",
		v1.Description("Departure delays of New York's airlines in January 2013, all of it in Go"),
		v1.Tags("example"),
		v1.Params(map[string]any{
			// From where the worker was started, which is the folder above examples/.
			"data":    "examples/flights/data",
			"workdir": "examples/flights/work",
		}),
	)
	data, workdir := sdk.FromParam("data"), sdk.FromParam("workdir")
	carriers := dag.AddTask(extract, data, workdir)
	stats := dag.AddTask(carrierStats, sdk.ID("carrier_stats"), sdk.Expand(carriers), workdir)
	dag.AddTask(report, sdk.After(stats), data, workdir)
	return nil
}

func main() { v1.Serve(flights{}, v1.Name("flights_go")) }
