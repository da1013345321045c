// SPDX-License-Identifier: Apache-2.0

// Package auth sends authenticated requests to an API server. It reads a kubeconfig,
// or plain settings, with the tokens, certificates and credential plugins that they
// name, and re-reads them on Refresh and after a 401.
//
// It knows nothing of Kubernetes resources, and does not choose between servers.
package auth

import (
	"errors"
	"fmt"
	"os"
)

// Config is which API server to reach, and with which credential. Either Kubeconfig
// or Server is set, never both. An empty path is no file.
type Config struct {
	Kubeconfig string // relative paths in it are relative to its folder
	Context    string // of the kubeconfig; "" is its current-context

	Server            string   // URL, with the path prefix of a proxy
	Servers           []string // more of the same cluster
	CAFile            string   // PEM; "" is the system's bundle
	TokenFile         string
	ClientCertificate string // PEM; with ClientKey or without both
	ClientKey         string

	UserAgent string // is sent with every request
}

// check rejects settings that contradict each other.
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
	}
	return nil
}

// read reads the files that cfg names.
func (cfg Config) read() (access, error) {
	if cfg.Kubeconfig != "" {
		return accessFromKubeconfig(cfg.Kubeconfig, cfg.Context)
	}
	a := access{server: cfg.Server, servers: cfg.Servers, tokenFile: cfg.TokenFile}
	for _, file := range []string{cfg.CAFile, cfg.TokenFile, cfg.ClientCertificate, cfg.ClientKey} {
		if file != "" {
			a.files = append(a.files, file)
		}
	}
	var err error
	if cfg.CAFile != "" {
		if a.ca, err = os.ReadFile(cfg.CAFile); err != nil {
			return access{}, fmt.Errorf("read CA file: %v", err)
		}
		a.caOrigin = cfg.CAFile
	}
	if cfg.ClientCertificate != "" {
		if a.cert, err = os.ReadFile(cfg.ClientCertificate); err != nil {
			return access{}, fmt.Errorf("read client certificate: %v", err)
		}
		if a.key, err = os.ReadFile(cfg.ClientKey); err != nil {
			return access{}, fmt.Errorf("read client key: %v", err)
		}
		a.certOrigin = cfg.ClientCertificate
	}
	return a, nil
}
