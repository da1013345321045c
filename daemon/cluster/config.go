// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"log/slog"
	"reflect"
	"slices"

	"podgate/daemon/config"
	"podgate/kubeapi"
)

// Config says which cluster is read, and what of it.
type Config struct {
	config.Kubernetes
	Nodes   bool   // read Nodes as well
	Version string // of podgate, for the User-Agent
}

// FromConfig returns what podgate.toml says. Nodes are read only if all Services
// are reached by node ports; a single Service may need them too.
func FromConfig(c *config.Config, version string) Config {
	return Config{Kubernetes: c.Kubernetes, Nodes: c.Upstream.Mode == config.UpstreamNodePort, Version: version}
}

// Connect returns a client for the cluster. It reads the credentials, and sends no
// request. The error says what is wrong with the credentials.
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
		UserAgent:         "podgate/" + c.Version,
	}
	if len(c.Servers) > 0 {
		k.Server, k.Servers = c.Servers[0], c.Servers[1:]
	}
	return kubeapi.New(k, log)
}

// ReadOnce lists the cluster once.
func ReadOnce(ctx context.Context, c Config) (*kubeapi.Snapshot, error) {
	client, err := Connect(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return client.List(ctx)
}

// same reports whether both ask the API server for the same in the same way.
func (c Config) same(other Config) bool {
	c.Expose = other.Expose // the API server does not know it
	return reflect.DeepEqual(c, other)
}

// reselects reports whether other is another cluster, or selects other Services of
// it. Two lists of servers are those of one cluster if they share a server.
// Namespaces are not compared: compile ignores a Service of a namespace that
// podgate.toml no longer names.
func (c Config) reselects(other Config) bool {
	shared := len(c.Servers) == 0 && len(other.Servers) == 0 ||
		slices.ContainsFunc(other.Servers, func(s string) bool { return slices.Contains(c.Servers, s) })
	return other.Kubeconfig != c.Kubeconfig || other.Context != c.Context || other.Selector != c.Selector || !shared
}
