// Command prints writes to standard output before the handshake.
package main

import (
	"fmt"

	v1 "crosswind.dev/go/bundle/bundlev1"
)

type bundle struct{}

func (bundle) RegisterDags(dagbag v1.Registry) error {
	dagbag.AddTask(nothing)
	return nil
}

func nothing() {}

func init() { fmt.Println("hello from init") }

func main() { v1.Serve(bundle{}) }
