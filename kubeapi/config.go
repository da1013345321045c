// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"podgate/kubeapi/auth"
)

// AllNamespaces as the only entry of Config.Namespaces follows the whole
// cluster.
const AllNamespaces = "*"

const (
	defaultPollInterval   = 5 * time.Second
	defaultResyncInterval = 10 * time.Minute
	defaultUserAgent      = "podgate"
)

// Config says which API server to follow and how. Either Kubeconfig or Server
// is set, never both.
type Config struct {
	// Kubeconfig is the path of a kubeconfig; relative paths in it are relative
	// to its folder.
	Kubeconfig string
	// Context is a context of the kubeconfig; "" is its current-context.
	Context string

	// Server is the URL of the API server, such as https://10.0.0.1:6443, with
	// any path prefix a proxy in front of it asks for.
	Server string
	// Servers are the URLs of more API servers of the same cluster. When the one
	// that is asked does not answer the next one is, and it is kept until it
	// fails as well. All have one CA and take one credential.
	Servers []string
	// CAFile is the path of the PEM bundle that signs Server's certificate; ""
	// is the system's bundle.
	//
	// Whatever is named here is read again when it changed, every minute and
	// after a 401; what cannot be read stays as it was.
	CAFile string
	// TokenFile is the path of a bearer token.
	TokenFile string
	// ClientCertificate and ClientKey are paths of PEM files; both or none.
	ClientCertificate string
	ClientKey         string

	// Namespaces are the namespaces to follow, one or more, or AllNamespaces
	// alone.
	Namespaces []string
	// Selector is a label selector on Services, applied by the server; "" is
	// every Service. EndpointSlices carry other labels and are never selected.
	Selector string

	// Nodes follows the cluster's Nodes too. While they cannot be listed, which is
	// told, the rest is followed without them.
	Nodes bool

	// Watch asks for changes as they happen; false only polls.
	Watch bool
	// PollInterval is the pause between two lists where there is no watch, and
	// the longest pause between two attempts to reach the server; with Watch that
	// is no longer than 1.5 seconds. Zero is 5 seconds.
	PollInterval time.Duration
	// ResyncInterval is the time from one list to the next beside a watch, less
	// up to a tenth of jitter. Zero is 10 minutes.
	ResyncInterval time.Duration

	// UserAgent is sent with every request, such as "podgate/1.0"; "" is
	// "podgate".
	UserAgent string
}

// withDefaults returns cfg with every default filled in, or what is wrong with
// its namespaces.
func (cfg Config) withDefaults() (Config, error) {
	switch {
	case len(cfg.Namespaces) == 0:
		return cfg, fmt.Errorf("choose the namespaces: none is set (%q is all of them)", AllNamespaces)
	case slices.Contains(cfg.Namespaces, ""):
		return cfg, errors.New("choose the namespaces: one has an empty name")
	case len(cfg.Namespaces) > 1 && slices.Contains(cfg.Namespaces, AllNamespaces):
		return cfg, fmt.Errorf("choose the namespaces: %q stands alone", AllNamespaces)
	}
	cfg.Namespaces = slices.Compact(slices.Sorted(slices.Values(cfg.Namespaces)))
	if cfg.PollInterval <= 0 {
		cfg.PollInterval = defaultPollInterval
	}
	if cfg.ResyncInterval <= 0 {
		cfg.ResyncInterval = defaultResyncInterval
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = defaultUserAgent
	}
	return cfg, nil
}

// auth is the part of cfg that says how to reach the API server.
func (cfg Config) auth() auth.Config {
	return auth.Config{
		Kubeconfig: cfg.Kubeconfig, Context: cfg.Context,
		Server: cfg.Server, Servers: cfg.Servers, CAFile: cfg.CAFile, TokenFile: cfg.TokenFile,
		ClientCertificate: cfg.ClientCertificate, ClientKey: cfg.ClientKey,
		UserAgent: cfg.UserAgent,
	}
}
