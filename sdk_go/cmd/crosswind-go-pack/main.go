// Command crosswind-go-pack packs Go bundles; see --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"crosswind.dev/go/internal/pack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := pack.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
