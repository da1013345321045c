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
	defaultMaxSize        = 256 << 20
)

// Config is which API server to follow, and how. Either Kubeconfig or Server
// is set, never both.
type Config struct {
	// Kubeconfig is the path of a kubeconfig; relative paths in it are relative
	// to its folder.
	Kubeconfig string
	// Context is a context of the kubeconfig; "" is its current-context.
	Context string

	// Server is the URL of the API server, such as https://10.0.0.1:6443, with
	// the path prefix of a proxy in front of it.
	Server string
	// Servers are the URLs of more API servers of the same cluster. When the one
	// in use does not answer, the next one is used until it fails as well. All
	// have the same CA and accept the same credential.
	Servers []string
	// CAFile is the path of the PEM bundle that signs Server's certificate; ""
	// is the system's bundle. This file and the next ones are re-read every
	// minute, after a 401 and on Refresh; one that cannot be read stays as it was.
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
	// logged, Services and EndpointSlices are followed without them.
	Nodes bool

	// Known are the Services as they were known before. Those of a namespace whose
	// Services cannot be listed are in the Snapshots until they can; nil if none were
	// known.
	Known []*Service
	// Whole sends no Snapshot before everything was listed. For a caller that has lost
	// what it knew, a resource that cannot be listed must not look empty.
	Whole bool

	// MaxSize bounds the memory of what is read, in bytes. What exceeds it is rejected and
	// reported. Zero is 256 MiB.
	MaxSize int64

	// Watch requests changes as they happen; false only polls.
	Watch bool
	// PollInterval is the pause between two lists without a watch, and the longest
	// pause between two attempts to reach the server; with Watch the latter is 1.5
	// seconds at most. Zero is 5 seconds.
	PollInterval time.Duration
	// ResyncInterval is the time from one list to the next while a watch runs, less
	// up to a tenth of jitter. Zero is 10 minutes.
	ResyncInterval time.Duration

	// UserAgent is sent with every request, such as "podgate/1.0"; "" is
	// "podgate".
	UserAgent string
}

// withDefaults returns cfg with every default filled in, or an error if its namespaces
// are invalid.
func (cfg Config) withDefaults() (Config, error) {
	switch {
	case len(cfg.Namespaces) == 0:
		return cfg, fmt.Errorf("choose the namespaces: none is set (%q is all of them)", AllNamespaces)
	case slices.Contains(cfg.Namespaces, ""):
		return cfg, errors.New("choose the namespaces: one has an empty name")
	case len(cfg.Namespaces) > 1 && slices.Contains(cfg.Namespaces, AllNamespaces):
		return cfg, fmt.Errorf("choose the namespaces: %q cannot be combined with others", AllNamespaces)
	}
	cfg.Namespaces = slices.Compact(slices.Sorted(slices.Values(cfg.Namespaces)))
	if cfg.PollInterval <= 0 {
		cfg.PollInterval = defaultPollInterval
	}
	if cfg.ResyncInterval <= 0 {
		cfg.ResyncInterval = defaultResyncInterval
	}
	if cfg.MaxSize <= 0 {
		cfg.MaxSize = defaultMaxSize
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = defaultUserAgent
	}
	return cfg, nil
}

// follows reports whether a namespace is followed.
func (cfg Config) follows(namespace string) bool {
	return slices.Contains(cfg.Namespaces, namespace) || slices.Contains(cfg.Namespaces, AllNamespaces)
}

// auth returns the part of cfg that kubeapi/auth reads.
func (cfg Config) auth() auth.Config {
	return auth.Config{
		Kubeconfig: cfg.Kubeconfig, Context: cfg.Context,
		Server: cfg.Server, Servers: cfg.Servers, CAFile: cfg.CAFile, TokenFile: cfg.TokenFile,
		ClientCertificate: cfg.ClientCertificate, ClientKey: cfg.ClientKey,
		UserAgent: cfg.UserAgent,
	}
}
