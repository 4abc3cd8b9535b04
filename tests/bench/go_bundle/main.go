// Command bench is the benchmark's bundle: the DAGs of tests/bench/pipelines.py, in Go.
package main

import (
	"fmt"

	v1 "crosswind.dev/go/bundle/bundlev1"
	"crosswind.dev/go/sdk"
)

type bench struct{}

// RegisterDags implements v1.Bundle.
func (bench) RegisterDags(dagbag v1.Registry) error {
	addIndependent(dagbag, "warm_up", 200)
	addIndependent(dagbag, "independent", 2000)
	chain := dagbag.AddDag("chain")
	last := chain.AddTask(step, sdk.ID("s0"), sdk.Arg(0))
	for number := 1; number < 50; number++ {
		last = chain.AddTask(step, sdk.ID(fmt.Sprintf("s%d", number)), sdk.After(last))
	}
	return nil
}

func addIndependent(dagbag v1.Registry, name string, count int) {
	dag := dagbag.AddDag(name)
	for number := range count {
		dag.AddTask(trivial, sdk.ID(fmt.Sprintf("t%d", number)))
	}
}

func trivial() (int, error) { return 1, nil }

func step(value int) (int, error) { return value + 1, nil }

func main() { v1.Serve(bench{}, v1.Name("bench")) }
