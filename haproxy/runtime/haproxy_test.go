// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
)

// box is a HAProxy and a Client of it.
type box struct {
	*haproxytest.HAProxy
	*runtime.Client
}

// newBox runs HAProxy without a configuration of podgate.
func newBox(t *testing.T) box {
	t.Helper()
	return newBoxOf(t, haproxytest.Options{})
}

func newBoxOf(t *testing.T, o haproxytest.Options) box {
	t.Helper()
	h := haproxytest.Run(t, o)
	return box{h, runtime.New(h.Admin, h.Master, h.Folder)}
}

// write writes the files of s into the folder and returns their generation.
func (b box) write(t *testing.T, s haproxy.State) string {
	t.Helper()
	files, err := cfgfile.Render(s, b.Folder)
	must(t, err)
	all := map[string][]byte{cfgfile.ConfigFile: files.Config()}
	for name, content := range files.Maps {
		all[name] = content
	}
	if files.CrtList != nil {
		all[cfgfile.CrtListFile] = files.CrtList
	}
	must(t, b.Write(all))
	return files.Generation
}

// load writes the files of s and reloads HAProxy.
func (b box) load(t *testing.T, s haproxy.State) runtime.Process {
	t.Helper()
	p, err := b.Reload(t.Context(), b.write(t, s))
	must(t, err)
	return p
}

// apply is Apply that fails the test on an error or a rejection.
func (b box) apply(t *testing.T, p haproxy.Plan) runtime.Applied {
	t.Helper()
	a, err := b.Apply(t.Context(), p)
	must(t, err)
	for _, r := range a.Rejected {
		t.Errorf("rejected: %s", r)
	}
	return a
}

// servers returns the servers of one backend that HAProxy has.
func (b box) servers(t *testing.T, backend string) []haproxy.Server {
	t.Helper()
	servers, err := b.Servers(t.Context(), []string{backend})
	must(t, err)
	return servers[backend]
}

// observe observes a HAProxy that has loaded the State, as the daemon does.
func (b box) observe(t *testing.T, loaded haproxy.State) haproxy.Running {
	t.Helper()
	servers, err := b.Servers(t.Context(), nil)
	must(t, err)
	maps, err := b.Maps(t.Context())
	must(t, err)
	have := haproxy.Running{Loaded: loaded.Structure(), Servers: servers, Maps: maps}
	for spare, name := range loaded.SpareNames() {
		servers[name] = servers[spare]
		delete(servers, spare)
	}
	if !b.addsBackends(t) {
		return have
	}
	have.AddsBackends, have.Unpublished = true, map[string]bool{}
	published, err := b.Published(t.Context(), nil)
	must(t, err)
	for _, backend := range loaded.Backends.All() {
		if open, ok := published[backend.Name]; ok && !open {
			have.Unpublished[backend.Name] = true
		}
	}
	return have
}

func (b box) addsBackends(t *testing.T) bool {
	t.Helper()
	adds, err := b.AddsBackends(t.Context())
	must(t, err)
	return adds
}

// command sends a command to the admin socket without the Client.
func (b box) command(t *testing.T, command string) string {
	t.Helper()
	conn, err := net.Dial("unix", b.Admin)
	must(t, err)
	defer conn.Close()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	must(t, err)
	return string(reply)
}

// awaitAddr waits until HAProxy shows the address of a "set server addr" command. 3.0
// and newer change the address shortly after they confirm the command.
func (b box) awaitAddr(t *testing.T, command string) {
	t.Helper()
	words := strings.Fields(command)
	if len(words) < 5 || words[3] != "addr" {
		return
	}
	backend, _, _ := strings.Cut(words[2], "/")
	last := " " + words[len(words)-1] + " " // the port, or the address if the command sets no port
	eventually(t, "HAProxy shows the address of "+command, func() bool {
		return strings.Contains(b.command(t, "show servers state "+backend), last)
	})
}

func (b box) freeAddr(t *testing.T) netip.AddrPort {
	t.Helper()
	addr, err := b.FreeAddr()
	must(t, err)
	return addr
}

// settings are short enough for tests and long enough for slow machines.
func settings() haproxy.Settings {
	return haproxy.Settings{
		TimeoutClient:      20 * time.Second,
		TimeoutServer:      20 * time.Second,
		TimeoutConnect:     5 * time.Second,
		TimeoutHTTPRequest: 5 * time.Second,
		TimeoutKeepAlive:   5 * time.Second,
	}
}

// shop returns a State with one HTTP frontend that leads every path to one backend
// "shop".
func (b box) shop(t *testing.T, change func(*haproxy.Backend), servers ...haproxy.Server) haproxy.State {
	t.Helper()
	backend := &haproxy.Backend{
		Name:    "shop",
		Policy:  haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.RoundRobin},
		Options: haproxy.Options{Protocol: haproxy.Plain},
		Servers: servers,
	}
	if change != nil {
		change(backend)
	}
	return haproxy.State{
		Settings:  settings(),
		Frontends: []haproxy.Frontend{{Name: "http", Mode: haproxy.HTTP, Binds: []netip.AddrPort{b.freeAddr(t)}}},
		Backends:  haproxy.ListOf(backend),
		Routes:    []haproxy.Route{{Backend: "shop"}},
	}
}

// newShop runs a HAProxy that has loaded the shop.
func newShop(t *testing.T, change func(*haproxy.Backend), servers ...haproxy.Server) (box, haproxy.State) {
	t.Helper()
	b := newBox(t)
	s := b.shop(t, change, servers...)
	b.load(t, s)
	return b, s
}

func ready(addr string) haproxy.Server {
	return haproxy.Server{Addr: netip.MustParseAddrPort(addr), State: haproxy.Ready}
}

// withState returns copies of the servers in that state.
func withState(state haproxy.ServerState, servers ...haproxy.Server) []haproxy.Server {
	var all []haproxy.Server
	for _, s := range servers {
		all = append(all, haproxy.Server{Addr: s.Addr, State: state})
	}
	return all
}

func changes(op haproxy.Op, b *haproxy.Backend, servers ...haproxy.Server) []haproxy.ServerChange {
	var all []haproxy.ServerChange
	for _, s := range servers {
		all = append(all, haproxy.ServerChange{Op: op, Backend: b, Server: s})
	}
	return all
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// compare fails the test if got differs from want.
func compare(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty())
}

// newPod returns a server that answers with its address, and a channel for requests of
// /slow: the pod sends a value when it gets such a request, and answers when it
// receives one.
func newPod(t *testing.T) (haproxy.Server, chan struct{}) {
	t.Helper()
	slow := make(chan struct{})
	var addr netip.AddrPort
	pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			slow <- struct{}{}
			select {
			case <-slow:
			case <-r.Context().Done(): // the test failed
			}
			w.Header().Set("Connection", "close") // otherwise HAProxy keeps the connection for the next request
		}
		fmt.Fprint(w, addr)
	}))
	t.Cleanup(pod.Close)
	addr = pod.Listener.Addr().(*net.TCPAddr).AddrPort()
	return haproxy.Server{Addr: addr, State: haproxy.Ready}, slow
}

// response is the response that a client got.
type response struct {
	Status  int
	Body    string
	Cookies []*http.Cookie
}

// get sends a request to a frontend on a new connection. host is its Host header, ""
// for the address of the frontend.
func get(ctx context.Context, frontend netip.AddrPort, host, path string) (response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+frontend.String()+path, nil)
	if err != nil {
		return response{}, err
	}
	req.Host = host
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, string(body), resp.Cookies()}, err
}

func mustGet(t *testing.T, frontend netip.AddrPort, path string) response {
	t.Helper()
	r, err := get(t.Context(), frontend, "", path)
	must(t, err)
	return r
}

// eventually waits until a condition is true, and fails the test after a minute.
func eventually(t *testing.T, what string, isTrue func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !isTrue() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited for a minute: %s", what)
		}
	}
}

// routesMap is the index of haproxy.RoutesMap in a list of all maps.
func routesMap() int { return slices.Index(haproxy.MapNames(), haproxy.RoutesMap) }
