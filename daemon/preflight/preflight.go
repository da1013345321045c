// SPDX-License-Identifier: Apache-2.0

// Package preflight tries what podgate needs on this machine before it runs: the API
// server, HAProxy, files, addresses and pods. It changes nothing, except that it
// writes a file into podgate's folder and removes it.
package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"podgate/daemon/certstore"
	"podgate/daemon/cluster"
	"podgate/daemon/compile"
	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/daemon/reconcile"
	"podgate/haproxy"
	"podgate/haproxy/check"
	"podgate/haproxy/runtime"
	"podgate/kubeapi"
)

// Finding is the result of one attempt.
type Finding struct {
	Check string `json:"check"` // one of Checks
	OK    bool   `json:"ok"`
	What  string `json:"what"`           // what was tried
	Why   string `json:"why,omitempty"`  // why it failed
	Help  string `json:"help,omitempty"` // what may repair it
}

// String is "FAIL pods: node a: no route to 10.1.2.3:80 (ip route add ...)".
func (f Finding) String() string {
	text := "ok   " + f.Check + ": " + f.What
	if !f.OK {
		text = "FAIL " + f.Check + ": " + f.What + ": " + f.Why
	}
	if f.Help != "" {
		text += " (" + f.Help + ")"
	}
	return text
}

// Checks returns the kinds of Findings, in the order in which they are made.
func Checks() []string {
	return []string{"api", "sockets", "folder", "certificates", "peers", "binds", "base", "pods"}
}

// preflight is one Run.
type preflight struct {
	config   *config.Config
	version  string
	certs    *certstore.Store
	findings []Finding
	local    reconcile.LocalPeer
}

// Run makes every check, from this machine and as this user. Each runs even if an
// earlier one fails, except that pods are tried only if the cluster could be listed.
func Run(ctx context.Context, c *config.Config, version string) []Finding {
	x := &preflight{config: c, version: version, certs: certstore.ReadOnce(certstore.FromConfig(c))}
	snapshot := x.api(ctx)
	x.sockets(ctx)
	x.folder()
	x.certificates()
	x.peers(ctx)
	x.binds()
	x.base(ctx)
	if snapshot != nil {
		x.pods(ctx, snapshot)
	}
	return x.findings
}

func (x *preflight) compile(snapshot *kubeapi.Snapshot) *compile.Result {
	return compile.Compile(x.config, x.certs.Set().Files, snapshot, nil)
}

func (x *preflight) add(check, what string, err error, help string) {
	f := Finding{Check: check, OK: err == nil, What: what}
	if err != nil {
		f.Why, f.Help = err.Error(), help
	}
	x.findings = append(x.findings, f)
}

// api makes the requests that podgate makes. It returns the cluster, nil if that
// cannot be listed.
func (x *preflight) api(ctx context.Context) *kubeapi.Snapshot {
	k := cluster.FromConfig(x.config, x.version)
	client, err := cluster.Connect(k, slog.New(slog.DiscardHandler))
	if err != nil {
		x.add("api", "credentials", err, "")
		return nil
	}
	listable := true
	for _, a := range client.Probe(ctx) {
		x.add("api", a.String(), a.Err, "")
		listable = listable && (a.Err == nil || a.Verb != "list")
	}
	if !listable {
		return nil
	}
	snapshot, err := client.List(ctx)
	if err != nil {
		x.add("api", "list everything", err, "")
		return nil
	}
	result := x.compile(snapshot)
	x.secrets(ctx, client, result)
	if k.Nodes {
		return snapshot
	}
	k.Nodes = true // to name the node of each pod, if podgate may list them
	withNodes, err := cluster.ReadOnce(ctx, k)
	if result.NeedsNodes() {
		x.add("api", "list nodes, for Services that are reached by node ports", err, "")
	}
	if err != nil {
		return snapshot
	}
	return withNodes
}

// secrets reads the Secrets that Services name, each by its name, as a role grants
// it. A Secret that does not exist is no failure here: podgate reports it as a
// Problem of its Service.
func (x *preflight) secrets(ctx context.Context, client *kubeapi.Client, result *compile.Result) {
	tried := map[kubeapi.Key]bool{}
	for _, s := range result.Secrets {
		if tried[s.Key] {
			continue
		}
		tried[s.Key] = true
		_, err := client.Secret(ctx, s.Key)
		if errors.Is(err, kubeapi.ErrNoSecret) {
			err = nil
		}
		x.add("api", fmt.Sprintf("get Secret %s, for Service %s", s.Key, s.Service.Service), err, "")
	}
}

// sockets connects to HAProxy's sockets.
func (x *preflight) sockets(ctx context.Context) {
	h := x.config.HAProxy
	failed := false // as a command over them would
	for _, s := range []struct{ key, path, help string }{
		{"haproxy.admin_socket", h.AdminSocket, "its stats socket needs mode 660, level admin and group haproxy, and podgate that group"},
		{"haproxy.master_socket", h.MasterSocket, "its unit needs -S SOCKET,mode,660,group,haproxy: podgate setup haproxy"},
	} {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", s.path)
		if err == nil {
			err = conn.Close()
		}
		x.add("sockets", s.key, err, s.help)
		failed = failed || err != nil
	}
	client := runtime.New(h.AdminSocket, h.MasterSocket, h.Folder)
	process, err := client.Process(ctx)
	what := "HAProxy answers"
	if err == nil {
		what = "HAProxy " + process.Version + " answers"
	}
	if err == nil || !failed {
		x.add("sockets", what, err, "")
	}
}

// folder writes and reads where podgate does.
func (x *preflight) folder() {
	path := x.config.HAProxy.Folder
	file, err := os.CreateTemp(path, ".podgate-preflight.*")
	if err == nil {
		err = errors.Join(file.Close(), os.Remove(file.Name()))
	}
	x.add("folder", "write to "+path, err, "it must belong to the user that podgate runs as")
	for _, name := range confdir.Dir(path).Names() {
		file, err := os.Open(filepath.Join(path, name))
		if err == nil {
			err = file.Close()
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			x.add("folder", "read "+name, err, "it must belong to the user that podgate runs as")
		}
	}
}

// certificates reads the files that [https] of podgate.toml names.
func (x *preflight) certificates() {
	h := x.config.HTTPS
	if len(h.Binds) == 0 {
		return
	}
	problems := x.certs.Check()
	for _, p := range problems {
		x.add("certificates", p.File, errors.New(p.Text), "")
	}
	if n := len(x.certs.Set().Certificates); n > 0 || len(problems) == 0 {
		x.add("certificates", fmt.Sprintf("%d of %s", n, cmp.Or(strings.Join(h.Certificates, ", "), "none")), nil, "")
	}
}

// peers looks for HAProxy among peers.nodes. Without an entry of its own, HAProxy
// starts with a warning and shares no stick tables.
func (x *preflight) peers(ctx context.Context) {
	h := x.config.HAProxy
	x.local = reconcile.AskPeer(ctx, runtime.New(h.AdminSocket, h.MasterSocket, h.Folder))
	nodes := x.config.Peers.Nodes
	if len(nodes) == 0 {
		return
	}
	what := "this host in peers.nodes"
	if x.local.Asked {
		what = "HAProxy in peers.nodes"
	}
	node, err := haproxy.FindPeer(nodes, x.local.Name)
	if err == nil {
		what += fmt.Sprintf(", %s at %s", node.Name, node.Addr)
	}
	x.add("peers", what, err, fmt.Sprintf("write %q into peers.nodes of every node, or give HAProxy one of its names by -L", x.local.Name+"=ADDRESS:PORT"))
}

// binds listens on the addresses that HAProxy will listen on, except for those that
// a configuration of podgate had it listen on already.
func (x *preflight) binds() {
	want := compile.WithoutServices(x.config, x.certs.Set().Files)
	var held []haproxy.Frontend
	for _, s := range confdir.Dir(x.config.HAProxy.Folder).Remembered() {
		held = append(held, check.WithPeer(s.Frontends, s.Settings, x.local.Name)...)
	}
	for _, f := range check.WithPeer(want.Frontends, want.Settings, x.local.Name) {
		binds := f.Binds
		if f.Relay.IsValid() {
			binds = append(slices.Clone(binds), f.Relay)
		}
		for _, b := range binds {
			var err error
			if !slices.ContainsFunc(held, func(h haproxy.Frontend) bool { return h.Relay == b || slices.Contains(h.Binds, b) }) {
				err = check.ProbeOrSearch(b)
			}
			x.add("binds", fmt.Sprintf("%s for %s", b, f.Name), err, "who has it: ss -ltnp 'sport = "+fmt.Sprint(b.Port())+"'")
		}
	}
}

// base has "haproxy -c" check the operator's files together with podgate's.
func (x *preflight) base(ctx context.Context) {
	h := x.config.HAProxy
	err := check.HAProxy{Binary: h.Binary, Files: h.Files}.State(ctx, compile.WithoutServices(x.config, nil))
	help := ""
	var theirs *check.OperatorError
	if errors.As(err, &theirs) {
		help = "podgate does not change these files; until they are repaired, HAProxy cannot be reloaded"
	}
	x.add("base", "haproxy -c", err, help)
}

// CheckPeers returns why this host would share no stick tables with the other nodes
// of peers.nodes, as far as that is known without HAProxy.
func CheckPeers(c *config.Config) error {
	if len(c.Peers.Nodes) == 0 {
		return nil
	}
	if _, err := haproxy.FindPeer(c.Peers.Nodes, reconcile.HostPeer().Name); err != nil {
		return fmt.Errorf("peers.nodes: on this host: %w (unless -L or localpeer gives HAProxy one of these names)", err)
	}
	return nil
}
