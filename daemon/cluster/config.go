// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"

	"podgate/daemon/config"
	"podgate/kubeapi"
)

// Config is which cluster and which of its objects to read.
type Config struct {
	config.Kubernetes
	Nodes   bool   // also read Nodes
	Version string // of podgate, for the User-Agent

	// Known and Whole are those of kubeapi.Config. A Follower sets them.
	Known []*kubeapi.Service
	Whole bool
}

// FromConfig returns the Config that podgate.toml sets. Nodes is true if podgate.toml
// has all Services reached by node ports; with false, a single Service may still need
// them.
func FromConfig(c *config.Config, version string) Config {
	return Config{Kubernetes: c.Kubernetes, Nodes: c.Upstream.Mode == config.UpstreamNodePort, Version: version}
}

// Connect returns a client for the cluster. It reads the credentials and sends no
// request. The error is about the credentials.
func Connect(c Config, log *slog.Logger) (*kubeapi.Client, error) {
	k := kubeapi.Config{
		Kubeconfig:        c.Kubeconfig,
		Context:           c.Context,
		CAFile:            c.CAFile,
		TokenFile:         c.TokenFile,
		ClientCertificate: c.ClientCertificate,
		ClientKey:         c.ClientKey,
		Namespaces:        c.Namespaces,
		Selector:          c.Selector,
		Nodes:             c.Nodes,
		Watch:             c.Watch,
		PollInterval:      c.PollInterval,
		ResyncInterval:    c.ResyncInterval,
		MaxSize:           int64(c.MaxSize),
		UserAgent:         "podgate/" + c.Version,
		Known:             c.Known,
		Whole:             c.Whole,
	}
	if len(c.Servers) > 0 {
		k.Server, k.Servers = c.Servers[0], c.Servers[1:]
	}
	return kubeapi.New(k, log)
}

// ReadOnce lists the cluster once. It also returns the addresses of API servers that it
// reached.
func ReadOnce(ctx context.Context, c Config) (*kubeapi.Snapshot, []netip.Addr, error) {
	client, err := Connect(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	snapshot, err := client.List(ctx)
	return snapshot, client.Reached(), err
}

// same reports whether both Configs lead to the same requests.
func (c Config) same(other Config) bool {
	c.Expose, c.Known, c.Whole = other.Expose, other.Known, other.Whole // which affect no request
	return reflect.DeepEqual(c, other)
}

// reselects reports whether other has another cluster or another selector. Two lists
// of servers belong to the same cluster if they share a server. Namespaces are not
// compared, because compile skips Services of namespaces that podgate.toml no longer
// has.
func (c Config) reselects(other Config) bool {
	shared := len(c.Servers) == 0 && len(other.Servers) == 0 ||
		slices.ContainsFunc(other.Servers, func(s string) bool { return slices.Contains(c.Servers, s) })
	return other.Kubeconfig != c.Kubeconfig || other.Context != c.Context || other.Selector != c.Selector || !shared
}
