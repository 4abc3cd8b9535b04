// Command exits ends before it serves.
package main

import (
	"fmt"
	"os"
)

func init() {
	fmt.Fprintln(os.Stderr, "config.yaml is missing")
	os.Exit(3)
}

func main() {}
