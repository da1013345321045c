// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"errors"
	"fmt"
	"slices"
	"time"
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
// it.
func (cfg Config) withDefaults() (Config, error) {
	if err := cfg.check(); err != nil {
		return cfg, err
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

// check refuses what contradicts itself.
func (cfg Config) check() error {
	plain := cfg.Server != "" || len(cfg.Servers) > 0 || cfg.CAFile != "" || cfg.TokenFile != "" || cfg.ClientCertificate != "" || cfg.ClientKey != ""
	switch {
	case cfg.Kubeconfig != "" && plain:
		return errors.New("choose the API server: a kubeconfig and server, CA, token or client certificate exclude each other")
	case cfg.Server == "" && len(cfg.Servers) > 0:
		return errors.New("choose the API server: more servers need a first one")
	case cfg.Kubeconfig == "" && cfg.Server == "":
		return errors.New("choose the API server: neither a kubeconfig nor a server is set")
	case cfg.Kubeconfig == "" && cfg.Context != "":
		return fmt.Errorf("choose the API server: context %q needs a kubeconfig", cfg.Context)
	case (cfg.ClientCertificate == "") != (cfg.ClientKey == ""):
		return errors.New("choose the API server: a client certificate needs its key, and the key its certificate")
	case len(cfg.Namespaces) == 0:
		return fmt.Errorf("choose the namespaces: none is set (%q is all of them)", AllNamespaces)
	case slices.Contains(cfg.Namespaces, ""):
		return errors.New("choose the namespaces: one has an empty name")
	case len(cfg.Namespaces) > 1 && slices.Contains(cfg.Namespaces, AllNamespaces):
		return fmt.Errorf("choose the namespaces: %q stands alone", AllNamespaces)
	}
	return nil
}
