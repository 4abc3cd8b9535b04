// Command mistakes is a bundle that is wrong in several ways.
package main

import (
	"errors"

	v1 "crosswind.dev/go/bundle/bundlev1"
	"crosswind.dev/go/sdk"
)

type bundle struct{}

func (bundle) RegisterDags(dagbag v1.Registry) error {
	dag := dagbag.AddDag("wrong")
	dag.AddTask(load)
	dag.AddTask(func() error { return nil })
	dag.AddTask(report, sdk.Retries(-1))
	if dag.ID() == "wrong" {
		panic(errors.New("and then it panicked"))
	}
	return nil
}

func load(done chan bool) error { return nil }

func report(rows []string) error { return nil }

func main() { v1.Serve(bundle{}) }
