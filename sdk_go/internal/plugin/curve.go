package plugin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
)

// WarmUp computes what the first key of go-plugin's curve needs, which takes ten times as long as the key. To be done
// beside other things, before go-plugin makes its certificate.
func WarmUp() {
	// What cannot be made here go-plugin cannot make either, and tells.
	_, _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
}
