// SPDX-License-Identifier: Apache-2.0

package daemon

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

// Finding is one thing that an edge needs, and whether it is there.
type Finding struct {
	Check string `json:"check"` // one of Checks
	OK    bool   `json:"ok"`
	What  string `json:"what"`           // what was tried
	Why   string `json:"why,omitempty"`  // it is not as it should be
	Help  string `json:"help,omitempty"` // what may set it right
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

// Checks are the kinds of Findings, in the order in which they are made.
func Checks() []string {
	return []string{"api", "sockets", "folder", "certificates", "peers", "binds", "base", "pods"}
}

// examination is one run of Examine.
type examination struct {
	config   *config.Config
	version  string
	findings []Finding
	local    reconcile.LocalPeer
}

// Examine looks, from this machine and as this user, whether podgate can do its
// work: everything that it needs, each by itself, so that one trouble hides no
// other. It changes nothing, but for a file that it writes into the folder and
// takes away again.
func Examine(ctx context.Context, c *config.Config, version string) []Finding {
	x := &examination{config: c, version: version}
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

func (x *examination) add(check, what string, err error, help string) {
	f := Finding{Check: check, OK: err == nil, What: what}
	if err != nil {
		f.Why, f.Help = err.Error(), help
	}
	x.findings = append(x.findings, f)
}

// api tries what is asked of the cluster, and returns what it holds, nil if
// that cannot be had.
func (x *examination) api(ctx context.Context) *kubeapi.Snapshot {
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
	result := compile.Compile(x.config, nil, snapshot, nil)
	x.secrets(ctx, client, result)
	if k.Nodes {
		return snapshot
	}
	k.Nodes = true // else of use alone, to tell where pods are
	withNodes, err := cluster.ReadOnce(ctx, k)
	if result.NeedsNodes() {
		x.add("api", "list nodes, for Services that are reached by node ports", err, "")
	}
	if err != nil {
		return snapshot
	}
	return withNodes
}

// secrets tries to read those Secrets that Services name, each by its name, as a
// role grants it. One that is not there can be read: its Service is told.
func (x *examination) secrets(ctx context.Context, client *kubeapi.Client, result *compile.Result) {
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

// sockets tries HAProxy's sockets. A master that refuses us cannot be asked for
// reloads.
func (x *examination) sockets(ctx context.Context) {
	h := x.config.HAProxy
	refused := false // as asking over them would be
	for _, s := range []struct{ key, path, help string }{
		{"haproxy.admin_socket", h.AdminSocket, "its stats socket needs mode 660, level admin and group haproxy, and podgate that group"},
		{"haproxy.master_socket", h.MasterSocket, "its unit needs -S SOCKET,mode,660,group,haproxy: podgate setup haproxy"},
	} {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", s.path)
		if err == nil {
			err = conn.Close()
		}
		x.add("sockets", s.key, err, s.help)
		refused = refused || err != nil
	}
	client := runtime.New(h.AdminSocket, h.MasterSocket, h.Folder)
	process, err := client.Process(ctx)
	what := "HAProxy answers"
	if err == nil {
		what = "HAProxy " + process.Version + " answers"
	}
	if err == nil || !refused {
		x.add("sockets", what, err, "")
	}
}

// folder tries to write where podgate does.
func (x *examination) folder() {
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

// certificates reads what podgate.toml names for TLS, as podgate will.
func (x *examination) certificates() {
	h := x.config.HTTPS
	if len(h.Binds) == 0 {
		return
	}
	store := certstore.ReadOnce(certstore.FromConfig(x.config))
	problems := store.Check()
	for _, p := range problems {
		x.add("certificates", p.File, errors.New(p.Text), "")
	}
	if n := len(store.Set().Certificates); n > 0 || len(problems) == 0 {
		x.add("certificates", fmt.Sprintf("%d of %s", n, cmp.Or(strings.Join(h.Certificates, ", "), "none")), nil, "")
	}
}

// peers looks whether HAProxy will find itself among the nodes of podgate.toml:
// where it does not, it warns, and goes on without them.
func (x *examination) peers(ctx context.Context) {
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

// binds tries the addresses that HAProxy will listen on, but for those that it
// has by podgate's doing.
func (x *examination) binds() {
	// Without the authorities of clients there is no TLS frontend.
	want := compile.Compile(x.config, certstore.ReadOnce(certstore.FromConfig(x.config)).Set().Files, &kubeapi.Snapshot{}, nil).State
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

// base asks HAProxy whether it would load the operator's files with ours.
func (x *examination) base(ctx context.Context) {
	err := CheckEmpty(ctx, x.config)
	help := ""
	var theirs *check.OperatorError
	if errors.As(err, &theirs) {
		help = "podgate does not touch them, and HAProxy would not be reloaded"
	}
	x.add("base", "haproxy -c", err, help)
}
