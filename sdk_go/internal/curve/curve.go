// Package curve does beside other things what the first key of go-plugin's curve needs, which takes ten times as long as
// the key itself.
package curve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"sync"
)

const (
	// CookieKey is the environment variable that tells a bundle's binary that a worker started it.
	CookieKey = "CROSSWIND_BUNDLE_COOKIE"
	// CookieValue is what that variable holds. It is no secret.
	CookieValue = "9d1c4c1e-6d1a-4ef1-9a3f-4f0a5d8a7c0b"
)

// WasLaunched tells whether this process is a bundle's that a worker started.
func WasLaunched() bool { return os.Getenv(CookieKey) == CookieValue }

// A bundle has only what its start takes: this package imports so little that it is made ready before the many that come
// with gRPC, and the second processor computes while they are.
func init() {
	if WasLaunched() {
		go WarmUp()
	}
}

// WarmUp computes it, once. To be called before go-plugin makes its certificate.
var WarmUp = sync.OnceFunc(func() {
	// What cannot be made here go-plugin cannot make either, and tells.
	_, _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
})
