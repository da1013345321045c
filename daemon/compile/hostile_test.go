// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

func TestHostileAnnotationsDoNotAffectOtherServices(t *testing.T) {
	values := []string{
		"", " ", "\n", "a\nb", "x\r\n\tserver evil 192.0.2.66:80", `"`, `'`, `\`, "#", "${HOME}", "%[src]", "a b", "\x00", "\xff\xfe",
		"listen evil", "use_backend default_good_80", "default_good_80", "podgate_http", "*", "*.*", "/", "//", "/..", "/good", "-i", "-f /etc/passwd",
		strings.Repeat("a", 10<<10), strings.Repeat("a.example.com,", 1000), strings.Repeat("/a,", 3000),
		strings.Repeat("\U0001F480", 100), "80", "-1", "1e9", "NaN", "99999999999999999999", "9999999h", "true", "good.example.com",
	}
	good := &kubeapi.Service{
		Key: kubeapi.Key{Namespace: "default", Name: "good"}, Created: time.Unix(1, 0),
		Annotations: map[string]string{Prefix + "host": "good.example.com", Prefix + "path": "/good"},
		Ports:       []kubeapi.ServicePort{{Port: 80}},
	}
	slice := &kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "default", Name: "good-1"}, Service: "good", AddressType: "IPv4",
		Ports:     []kubeapi.EndpointPort{{Port: 8080}},
		Endpoints: []kubeapi.Endpoint{{Addr: netip.MustParseAddr("10.0.0.1"), Ready: true}},
	}
	alone := &kubeapi.Snapshot{
		Services: []*kubeapi.Service{good},
		Slices:   kubeapi.SliceIndex{}.With(map[kubeapi.Key][]*kubeapi.EndpointSlice{good.Key: {slice}}),
	}
	want := Compile(testConfig(), nil, alone, nil)
	for _, k := range append(keys(), "", "unknown", "\n", "host.\n", `host."`) {
		for _, value := range values {
			evil := &kubeapi.Service{
				Key: kubeapi.Key{Namespace: "default", Name: "evil"}, Created: time.Unix(2, 0),
				Annotations: map[string]string{Prefix + string(k): value, Prefix + string(k) + ".http": value},
				Ports:       []kubeapi.ServicePort{{Name: "http", Port: 80}},
			}
			both := &kubeapi.Snapshot{Services: []*kubeapi.Service{evil, good}, Slices: alone.Slices}
			got := Compile(testConfig(), nil, both, nil)
			checkTexts(t, got)
			if diff := cmp.Diff(want.State, without(got, func(p ServicePort) bool { return p.Service == evil.Key }), exported()); diff != "" {
				t.Errorf("%q: %q (-without +with):\n%s", k, quote(value), diff)
			}
			for _, p := range got.Problems {
				if p.Service != evil.Key {
					t.Errorf("%q: %q is a Problem of another Service: %s", k, quote(value), p)
				}
			}
		}
	}
}

// without is the State without the backends, routes and frontends of some ports.
func without(r *Result, remove func(ServicePort) bool) haproxy.State {
	state := r.State
	theirs := func(backend string) bool {
		p, ok := r.Service(backend)
		return ok && remove(p)
	}
	state.Backends = haproxy.ListOf(slices.DeleteFunc(state.Backends.Slice(), func(b *haproxy.Backend) bool { return theirs(b.Name) })...)
	state.Routes = slices.DeleteFunc(slices.Clone(state.Routes), func(r haproxy.Route) bool { return theirs(r.Backend) })
	state.HeldHosts = slices.DeleteFunc(slices.Clone(state.HeldHosts), func(h haproxy.HeldHost) bool {
		return !slices.ContainsFunc(state.Routes, func(r haproxy.Route) bool { return r.Host == h.Host })
	})
	if len(state.HeldHosts) == 0 {
		state.HeldHosts = nil
	}
	state.Frontends = slices.DeleteFunc(slices.Clone(state.Frontends), func(f haproxy.Frontend) bool { return theirs(f.Backend) })
	return state
}

// checkTexts checks that every text of a Result has only characters that are valid in
// HAProxy's configuration, maps and commands, and that Problems are printable lines.
func checkTexts(t *testing.T, r *Result) {
	t.Helper()
	word := func(what, text string) {
		for _, c := range []byte(text) {
			if !isAlphanumeric(c) && !strings.ContainsRune("._-:/~@+=%*", rune(c)) {
				t.Errorf("%s %q has %q in it", what, text, c)
			}
		}
		if len(text) > 512 {
			t.Errorf("%s is %d bytes long", what, len(text))
		}
	}
	for _, b := range r.State.Backends.All() {
		word("backend", b.Name)
		word("check path", b.Policy.CheckPath)
	}
	for _, route := range r.State.Routes {
		word("route", string(route.Host)+string(route.Path))
		word("rewrite", string(route.Rewrite))
	}
	for _, f := range r.State.Frontends {
		word("frontend", f.Name)
	}
	for _, p := range r.Problems {
		if line := p.String(); len(line) > 1024 || strings.ContainsFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("a Problem is not a printable line: %q", line)
		}
	}
}

func FuzzAnnotation(f *testing.F) {
	for _, k := range keys() {
		for _, value := range plausible(k) {
			f.Add(string(k), value, "web")
			f.Add(string(k)+".http", value+"\n", "web")
		}
	}
	f.Add("host", "a.example.com, *.b.example.com.", "x\ny")
	f.Add("path", "/a/%2e%2e/b,/c//d", "")
	f.Add("aclMatch", "-i /A /b", "web")
	f.Add("http", "a.example.com:8\x18", "web")
	for _, k := range append(forkKeys(), refusedKeys()...) {
		f.Add(string(k), "true", "web")
		f.Add(string(k)+".http", "a.example.com:80", "web")
	}
	cfg, ancestor := testConfig(), testConfig()
	ancestor.Compatibility.ServiceLoadbalancer = true
	f.Fuzz(func(t *testing.T, k, value, name string) {
		svc := &kubeapi.Service{
			Key:         kubeapi.Key{Namespace: "default", Name: name},
			Annotations: map[string]string{Prefix + k: value},
			Ports:       []kubeapi.ServicePort{{Name: "http", Port: 80}, {Name: name, Port: 8081, AppProtocol: value, Protocol: "TCP"}},
		}
		for _, c := range []*config.Config{cfg, ancestor} {
			r := Compile(c, nil, &kubeapi.Snapshot{Services: []*kubeapi.Service{svc}}, nil)
			checkTexts(t, r)
			checkSorted(t, r)
		}
	})
}
