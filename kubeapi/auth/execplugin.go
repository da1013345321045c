// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	// execTimeout is how long a credential plugin may run.
	execTimeout = 30 * time.Second
	// execPause is the shortest time from one run to the next, whether the server or
	// the plugin failed.
	execPause = 5 * time.Second
	// execEarly is how long before it expires a credential is renewed.
	execEarly = 10 * time.Second
)

// execConfig is a credential plugin of a kubeconfig (client-go, "exec
// credential plugins").
type execConfig struct {
	APIVersion string
	Command    string // a path, or a name that is looked up in PATH
	Args       []string
	Env        []string // NAME=value, added to podgate's own
	Hint       string   // installHint, first line
	Cluster    *execCluster
}

// execCluster is what a plugin receives with provideClusterInfo.
type execCluster struct {
	Server        string `json:"server"`
	TLSServerName string `json:"tls-server-name,omitempty"`
	Insecure      bool   `json:"insecure-skip-tls-verify,omitempty"`
	CA            []byte `json:"certificate-authority-data,omitempty"` // base64 in JSON
	ProxyURL      string `json:"proxy-url,omitempty"`
}

// execCredential is what a plugin reads in KUBERNETES_EXEC_INFO, and what it prints
// (client.authentication.k8s.io/v1 and v1beta1, which are equal here).
type execCredential struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Spec       execSpec    `json:"spec"`
	Status     *execStatus `json:"status,omitempty"`
}

type execSpec struct {
	Interactive bool         `json:"interactive"`
	Cluster     *execCluster `json:"cluster,omitempty"`
}

type execStatus struct {
	Expiration *time.Time `json:"expirationTimestamp,omitempty"`
	Token      string     `json:"token,omitempty"`
	Cert       string     `json:"clientCertificateData,omitempty"` // PEM
	Key        string     `json:"clientKeyData,omitempty"`         // PEM
}

// execPlugin is a credential plugin and its last output. It may not be used
// concurrently.
type execPlugin struct {
	config execConfig

	have   execStatus // zero before the first run
	ran    time.Time
	stale  bool  // the server rejected have
	failed error // of the last run
}

// refresh runs the plugin if there is no credential, or if it has expired or was
// rejected.
func (p *execPlugin) refresh(ctx context.Context) error {
	now := time.Now()
	expired := p.have.Expiration != nil && now.After(p.have.Expiration.Add(-execEarly))
	switch {
	case !p.ran.IsZero() && now.Sub(p.ran) < execPause:
		return p.failed
	case p.failed == nil && !p.ran.IsZero() && !expired && !p.stale:
		return nil
	}
	status, err := p.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.ran, p.failed, p.stale = time.Now(), nil, false
	if err != nil {
		p.failed = &credentialError{fmt.Errorf("run credential plugin %q: %v", p.config.Command, err)}
		return p.failed
	}
	p.have = status
	return nil
}

// run runs the plugin once. Its output is a secret and never part of an error.
func (p *execPlugin) run(ctx context.Context) (execStatus, error) {
	limited, cancel := context.WithTimeout(ctx, execTimeout)
	defer cancel()
	info, err := json.Marshal(execCredential{
		APIVersion: p.config.APIVersion,
		Kind:       "ExecCredential",
		Spec:       execSpec{Cluster: p.config.Cluster},
	})
	if err != nil {
		return execStatus{}, err
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(limited, p.config.Command, p.config.Args...)
	cmd.Env = append(append(os.Environ(), p.config.Env...), "KUBERNETES_EXEC_INFO="+string(info))
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return execStatus{}, errors.New("not found in PATH" + inBrackets(p.config.Hint))
	case errors.Is(err, os.ErrNotExist):
		return execStatus{}, errors.New("no such file" + inBrackets(p.config.Hint))
	case limited.Err() != nil:
		return execStatus{}, fmt.Errorf("it did not end within %v", execTimeout)
	case err != nil:
		return execStatus{}, fmt.Errorf("%v: %s", err, cmp.Or(firstLine(stderr.String()), "it printed no reason"))
	}
	return p.read(stdout.Bytes())
}

// read decodes the output of the plugin.
func (p *execPlugin) read(text []byte) (execStatus, error) {
	var c execCredential
	if err := json.Unmarshal(text, &c); err != nil {
		return execStatus{}, errors.New("it printed no ExecCredential")
	}
	switch s := c.Status; {
	case c.Kind != "ExecCredential" || c.APIVersion != p.config.APIVersion:
		return execStatus{}, fmt.Errorf("it printed %q of %q, want ExecCredential of %q", c.Kind, c.APIVersion, p.config.APIVersion)
	case s == nil || s.Token == "" && s.Cert == "":
		return execStatus{}, errors.New("it printed neither a token nor a client certificate")
	case (s.Cert == "") != (s.Key == ""):
		return execStatus{}, errors.New("it printed a client certificate without its key, or the key alone")
	}
	return *c.Status, nil
}

// credentialError wraps the error of a credential plugin.
type credentialError struct{ err error }

func (e *credentialError) Error() string { return e.err.Error() }

// Unavailable reports whether err is caused by a credential plugin, so that no request
// was sent.
func Unavailable(err error) bool {
	_, ok := errors.AsType[*credentialError](err)
	return ok
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line[:min(len(line), 200)]
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
