//go:build race

package serving_test

// The bundle under test is looked at for data races where the tests are.
var buildFlags = []string{"-race"}
