//go:build !race

package serving_test

var buildFlags []string
