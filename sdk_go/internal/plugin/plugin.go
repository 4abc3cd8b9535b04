// Package plugin is what a worker and a bundle's process must agree on before they speak: hashicorp/go-plugin's handshake
// and the one service behind it. How a process is launched is the worker's, what it serves the bundle's.
package plugin

import (
	"context"
	"errors"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"crosswind.dev/go/internal/curve"
	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
)

const (
	// Name is the plugin's name in the set, to be dispensed.
	Name = "bundle"
	// ProtocolVersion is go-plugin's protocol version in which BundleService is served, the only one yet. It would change
	// with the handshake, not with the messages, which have API versions of their own.
	ProtocolVersion = 1
	// MaxMessageBytes bounds one message between worker and bundle: well over what the server lets through.
	MaxMessageBytes = 64 * 1024 * 1024
)

// Handshake is the same on both sides.
var Handshake = goplugin.HandshakeConfig{MagicCookieKey: curve.CookieKey, MagicCookieValue: curve.CookieValue}

// HostPlugins is what a worker passes as ClientConfig.VersionedPlugins, of the versions that it speaks; without any, of
// ProtocolVersion. Dispensing Name gives a bundlepb.BundleServiceClient.
func HostPlugins(versions ...int) map[int]goplugin.PluginSet {
	return versioned(nil, versions)
}

// BundlePlugins is what a bundle passes as ServeConfig.VersionedPlugins, of the versions that it speaks; without any, of
// ProtocolVersion.
func BundlePlugins(server bundlepb.BundleServiceServer, versions ...int) map[int]goplugin.PluginSet {
	return versioned(server, versions)
}

// NewServer is what a bundle passes as ServeConfig.GRPCServer.
func NewServer(options []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(MaxMessageBytes), grpc.MaxSendMsgSize(MaxMessageBytes))...)
}

func versioned(server bundlepb.BundleServiceServer, versions []int) map[int]goplugin.PluginSet {
	if len(versions) == 0 {
		versions = []int{ProtocolVersion}
	}
	sets := map[int]goplugin.PluginSet{}
	for _, version := range versions {
		sets[version] = goplugin.PluginSet{Name: &bundle{server: server}}
	}
	return sets
}

type bundle struct {
	goplugin.NetRPCUnsupportedPlugin
	server bundlepb.BundleServiceServer
}

// GRPCServer implements goplugin.GRPCPlugin.
func (b *bundle) GRPCServer(_ *goplugin.GRPCBroker, server *grpc.Server) error {
	if b.server == nil {
		return errors.New("the bundle's server is missing; serve the plugins of BundlePlugins")
	}
	bundlepb.RegisterBundleServiceServer(server, b.server)
	return nil
}

// GRPCClient implements goplugin.GRPCPlugin.
func (*bundle) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, connection *grpc.ClientConn) (any, error) {
	return bundlepb.NewBundleServiceClient(connection), nil
}
