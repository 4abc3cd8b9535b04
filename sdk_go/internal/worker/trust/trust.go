// Package trust is TLS towards a server: what the worker trusts, and what is wrong where a handshake fails.
package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"time"
)

const probeTimeout = 2 * time.Second

// ErrNoCertificates says that a file holds none.
var ErrNoCertificates = errors.New("holds no certificates in PEM")

// Trust is what the worker trusts.
type Trust struct {
	authorities *x509.CertPool // nil: the system's
	serverName  string
	config      *tls.Config
}

// Read takes the authorities of a PEM file, or the system's where the path is empty. serverName is what the server's
// certificate is to name; empty: the host that is dialled. The error is that of reading, or ErrNoCertificates.
func Read(path, serverName string) (*Trust, error) {
	if path == "" {
		return &Trust{serverName: serverName}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, ErrNoCertificates
	}
	return &Trust{authorities: authorities, serverName: serverName}, nil
}

// FromConfig trusts what a program has set up itself.
func FromConfig(config *tls.Config) *Trust { return &Trust{config: config} }

// Config is for a client's connection.
func (t *Trust) Config() *tls.Config {
	if t.config != nil {
		return t.config.Clone()
	}
	return &tls.Config{RootCAs: t.authorities, ServerName: t.serverName, MinVersion: tls.VersionTLS12}
}

// Explain says why a call that did not reach its server failed, where TLS is the cause: a clause about the server with
// the way out. Empty: it is not the cause. details is what gRPC says; speaksTLS whether the worker does. It may take
// some seconds.
func Explain(address, details string, speaksTLS bool) string {
	if !speaksTLS {
		if strings.Contains(details, "refused") || !probe(address) {
			return ""
		}
		return "speaks TLS only: give --tls, or --tls-ca with the authorities to trust"
	}
	switch {
	case strings.Contains(details, "first record does not look like a TLS handshake"):
		return "does not speak TLS: leave out --tls and --tls-ca"
	case strings.Contains(details, "certificate is valid for"), strings.Contains(details, "certificate is not valid for any names"),
		strings.Contains(details, "cannot validate certificate for"), strings.Contains(details, "relies on legacy Common Name"):
		return "has a certificate for another name: give --server a name that its certificate holds"
	case strings.Contains(details, "failed to verify certificate"):
		return "has a certificate that is not trusted here: name the authorities that made it with --tls-ca"
	}
	return ""
}

// probe tells whether a server speaks TLS. Only that is asked, so the certificate is of no interest; nothing is sent.
func probe(address string) bool {
	dialer := &net.Dialer{Timeout: probeTimeout}
	connection, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{"h2"},
	})
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}
