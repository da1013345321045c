// SPDX-License-Identifier: Apache-2.0

// Package preflight checks what podgate needs on this machine before it runs: the API
// server, HAProxy, files, addresses and pods. It changes nothing, except that it
// writes a file to podgate's folder and removes it.
package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
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
	"podgate/daemon/machine"
	"podgate/daemon/reconcile"
	"podgate/haproxy"
	"podgate/haproxy/check"
	"podgate/haproxy/runtime"
	"podgate/kubeapi"
)

// Finding is the result of one check.
type Finding struct {
	Check string `json:"check"` // one of Checks
	OK    bool   `json:"ok"`
	What  string `json:"what"`           // what was checked
	Why   string `json:"why,omitempty"`  // why it failed
	Help  string `json:"help,omitempty"` // the likely remedy
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

// Checks returns the kinds of checks, in the order in which Run makes them.
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
	reached  []netip.Addr // of API servers
}

// Run makes all checks, from this machine and as this user. Each runs even if an
// earlier one fails, except that it connects to pods only if it could list the cluster.
func Run(ctx context.Context, c *config.Config, version string) []Finding {
	p := &preflight{config: c, version: version, certs: certstore.ReadOnce(certstore.FromConfig(c))}
	snapshot := p.api(ctx)
	p.sockets(ctx)
	p.folder()
	p.certificates()
	p.peers(ctx)
	p.binds(snapshot)
	p.base(ctx)
	if snapshot != nil {
		p.pods(ctx, snapshot)
	}
	return p.findings
}

func (p *preflight) compile(snapshot *kubeapi.Snapshot) *compile.Result {
	m, _ := new(machine.Reader).Read(p.config, p.certs.Set().Files, p.reached) // podgate run reports the error
	return compile.Compile(p.config, m, snapshot, nil)
}

func (p *preflight) add(check, what string, err error, help string) {
	f := Finding{Check: check, OK: err == nil, What: what}
	if err != nil {
		f.Why, f.Help = err.Error(), help
	}
	p.findings = append(p.findings, f)
}

// api makes the requests of podgate to the API server. It returns nil if it cannot list
// the cluster.
func (p *preflight) api(ctx context.Context) *kubeapi.Snapshot {
	k := cluster.FromConfig(p.config, p.version)
	client, err := cluster.Connect(k, slog.New(slog.DiscardHandler))
	if err != nil {
		p.add("api", "credentials", err, "")
		return nil
	}
	listable := true
	for _, a := range client.Probe(ctx) {
		p.add("api", a.String(), a.Err, "")
		listable = listable && (a.Err == nil || a.Verb != "list")
	}
	if !listable {
		return nil
	}
	snapshot, err := client.List(ctx)
	p.reached = client.Reached()
	if err != nil {
		p.add("api", "list everything", err, "")
		return nil
	}
	result := p.compile(snapshot)
	p.secrets(ctx, client, result)
	if k.Nodes {
		return snapshot
	}
	k.Nodes = true // to name the node of each pod, if the role allows it
	withNodes, _, err := cluster.ReadOnce(ctx, k)
	if result.NeedsNodes() {
		p.add("api", "list nodes, for Services that are reached by node ports", err, "")
	}
	if err != nil {
		return snapshot
	}
	return withNodes
}

// secrets reads each Secret that Services name. A Secret that does not exist is not a
// failure: podgate reports it as a Problem of its Service.
func (p *preflight) secrets(ctx context.Context, client *kubeapi.Client, result *compile.Result) {
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
		p.add("api", fmt.Sprintf("get Secret %s, for Service %s", s.Key, s.Service.Service), err, "")
	}
}

// sockets connects to HAProxy's sockets.
func (p *preflight) sockets(ctx context.Context) {
	h := p.config.HAProxy
	failed := false // then a command over the sockets fails for the same reason
	for _, s := range []struct{ key, path, help string }{
		{"haproxy.admin_socket", h.AdminSocket, "its stats socket needs mode 660, level admin and group haproxy, and podgate that group"},
		{"haproxy.master_socket", h.MasterSocket, "its unit needs -S SOCKET,mode,660,group,haproxy: podgate setup haproxy"},
	} {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", s.path)
		if err == nil {
			err = conn.Close()
		}
		p.add("sockets", s.key, err, s.help)
		failed = failed || err != nil
	}
	client := runtime.New(h.AdminSocket, h.MasterSocket, h.Folder)
	process, err := client.Process(ctx)
	what := "HAProxy answers"
	if err == nil {
		what = "HAProxy " + process.Version + " answers"
	}
	if err == nil || !failed {
		p.add("sockets", what, err, "")
	}
}

// folder writes to podgate's folder and reads its files.
func (p *preflight) folder() {
	path := p.config.HAProxy.Folder
	file, err := os.CreateTemp(path, ".podgate-preflight.*")
	if err == nil {
		err = errors.Join(file.Close(), os.Remove(file.Name()))
	}
	p.add("folder", "write to "+path, err, "it must belong to the user that podgate runs as")
	for _, name := range confdir.Dir(path).Names() {
		file, err := os.Open(filepath.Join(path, name))
		if err == nil {
			err = file.Close()
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			p.add("folder", "read "+name, err, "it must belong to the user that podgate runs as")
		}
	}
}

// certificates reads the files that [https] in podgate.toml names.
func (p *preflight) certificates() {
	h := p.config.HTTPS
	if len(h.Binds) == 0 {
		return
	}
	problems := p.certs.Check()
	for _, x := range problems {
		p.add("certificates", x.File, errors.New(x.Text), "")
	}
	if n := len(p.certs.Set().Certificates); n > 0 || len(problems) == 0 {
		p.add("certificates", fmt.Sprintf("%d of %s", n, cmp.Or(strings.Join(h.Certificates, ", "), "none")), nil, "")
	}
}

// peers checks that HAProxy is listed in peers.nodes. If it is not, HAProxy starts with
// a warning and does not share its stick tables.
func (p *preflight) peers(ctx context.Context) {
	h := p.config.HAProxy
	p.local = reconcile.AskPeer(ctx, runtime.New(h.AdminSocket, h.MasterSocket, h.Folder))
	nodes := p.config.Peers.Nodes
	if len(nodes) == 0 {
		return
	}
	what := "this host in peers.nodes" // if HAProxy does not answer
	if p.local.Asked {
		what = "HAProxy in peers.nodes"
	}
	node, err := haproxy.FindPeer(nodes, p.local.Name)
	if err == nil {
		what += fmt.Sprintf(", %s at %s", node.Name, node.Addr)
	}
	p.add("peers", what, err, fmt.Sprintf("write %q into peers.nodes of every node, or give HAProxy one of its names by -L", p.local.Name+"=ADDRESS:PORT"))
}

// binds listens on the addresses that HAProxy will listen on, except for those on which
// it already listens because of podgate's files. Without a snapshot, it skips those of
// Services.
func (p *preflight) binds(snapshot *kubeapi.Snapshot) {
	want := compile.WithoutServices(p.config, p.certs.Set().Files)
	services := map[string]string{} // of a TCP frontend, by its name
	if snapshot != nil {
		result := p.compile(snapshot)
		want = result.State
		for _, f := range want.Frontends {
			if port, ok := result.Service(f.Backend); ok {
				services[f.Name] = ", Service " + port.String()
			}
		}
	}
	var held []haproxy.Frontend
	for _, s := range confdir.Dir(p.config.HAProxy.Folder).Remembered() {
		held = append(held, check.WithPeer(s.Frontends, s.Settings, p.local.Name)...)
	}
	for _, f := range check.WithPeer(want.Frontends, want.Settings, p.local.Name) {
		binds := f.Binds
		for _, b := range []netip.AddrPort{f.Relay, f.TLSLoopback} {
			if b.IsValid() {
				binds = append(slices.Clone(binds), b)
			}
		}
		for _, b := range binds {
			var err error
			if !slices.ContainsFunc(held, func(h haproxy.Frontend) bool {
				return h.Relay == b || h.TLSLoopback == b || slices.Contains(h.Binds, b)
			}) {
				err = check.ProbeOrSearch(b)
			}
			p.add("binds", fmt.Sprintf("%s for %s%s", b, f.Name, services[f.Name]), err, "to see the process: ss -ltnp 'sport = "+fmt.Sprint(b.Port())+"'")
		}
	}
}

// base runs "haproxy -c" on the operator's files together with podgate's frontends, and
// looks for settings with which podgate cannot do its work.
func (p *preflight) base(ctx context.Context) {
	h := p.config.HAProxy
	err := check.HAProxy{Binary: h.Binary, Files: h.Files}.State(ctx, compile.WithoutServices(p.config, nil))
	help := ""
	var operatorErr *check.OperatorError
	if errors.As(err, &operatorErr) {
		help = "podgate does not change these files; until they are corrected, HAProxy cannot be reloaded"
	}
	p.add("base", "haproxy -c", err, help)
	globals, err := check.HAProxy{Files: h.Files}.Globals()
	if err != nil {
		p.add("base", "global section", err, "podgate has to read the files of haproxy.config")
	}
	for _, x := range check.Hindrances(globals, h.AdminSocket) {
		p.add("base", x.Global.String(), errors.New(x.Why), x.Help)
	}
}

// CheckPeers returns an error if this host is not listed in peers.nodes, so that its
// stick tables would not be shared. It does not ask HAProxy for its own name.
func CheckPeers(c *config.Config) error {
	if len(c.Peers.Nodes) == 0 {
		return nil
	}
	if _, err := haproxy.FindPeer(c.Peers.Nodes, reconcile.HostPeer().Name); err != nil {
		return fmt.Errorf("peers.nodes: on this host: %w (unless -L or localpeer gives HAProxy one of these names)", err)
	}
	return nil
}
