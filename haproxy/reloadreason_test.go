// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

// reasonRows has a row for every reason that ReloadReasons returns. reason is for a
// HAProxy that adds no backends at run time; dynamic is the Detail for one that does,
// or "" if it is the same.
var reasonRows = []struct {
	name    string
	change  func(have *haproxy.Running, want *haproxy.State)
	reason  haproxy.ReloadReason
	dynamic string
}{
	{"settings", func(_ *haproxy.Running, want *haproxy.State) { want.Settings.TimeoutClient = time.Hour },
		haproxy.ReloadReason{Kind: haproxy.SettingsChanged}, ""},
	{"a new frontend", func(have *haproxy.Running, _ *haproxy.State) { have.Loaded.Frontends = nil }, frontend("is new"), ""},
	{"a frontend that is not wanted", func(_ *haproxy.Running, want *haproxy.State) { want.Frontends = nil }, frontend("is removed"), ""},
	{"a listen address", frontendChange(func(f *haproxy.Frontend) { f.Binds = nil }), frontend("changed its listen addresses"), ""},
	{"a relay", frontendChange(func(f *haproxy.Frontend) { f.Relay = loopback }), frontend("changed its relay address"), ""},
	{"PROXY headers", frontendChange(func(f *haproxy.Frontend) { f.ExpectProxy = true }), frontend("changed its PROXY protocol settings"), ""},
	{"statistics", frontendChange(func(f *haproxy.Frontend) { f.Stats = &haproxy.Stats{} }), frontend("changed its statistics settings"), ""},
	{"health checks", frontendChange(func(f *haproxy.Frontend) { f.Health = &haproxy.Health{} }), frontend("changed its health check settings"), ""},
	{"TLS", frontendChange(func(f *haproxy.Frontend) { f.TLS.ALPN = "h2" }), frontend("changed its TLS settings"), ""},
	{"TLS passthrough", frontendChange(func(f *haproxy.Frontend) { f.TLSLoopback = loopback }), frontend("changed its TLS passthrough settings"), ""},
	{"the backend of a frontend", frontendChange(func(f *haproxy.Frontend) { f.Backend = "a" }), about("a", frontend("changed its backend")), ""},
	{"a TCP frontend that is not wanted", func(have *haproxy.Running, _ *haproxy.State) {
		have.Loaded.Frontends = append(slices.Clone(have.Loaded.Frontends), haproxy.Frontend{Name: "podgate_tcp", Backend: "gone"})
	}, haproxy.ReloadReason{Kind: haproxy.FrontendChanged, Object: "podgate_tcp", Detail: "is removed", Backend: "gone"}, ""},
	{"the mode of a frontend", frontendChange(func(f *haproxy.Frontend) { f.Mode = haproxy.TCP }), frontend("changed its mode"), ""},
	{"the policy of a backend", func(_ *haproxy.Running, want *haproxy.State) { want.Backends.At(0).Policy.Balance = haproxy.First }, changed("changed its policy"), ""},
	{"the options of a backend", func(_ *haproxy.Running, want *haproxy.State) { want.Backends.At(0).Options.MaxConn = 1 }, changed("changed its server options"), ""},
	{"the timeout of a TCP backend", func(have *haproxy.Running, want *haproxy.State) {
		have.Loaded.Backends.At(0).Policy.Mode, want.Backends.At(0).Policy.Mode = haproxy.TCP, haproxy.TCP
		want.Backends.At(0).TimeoutServer = time.Hour
	}, changed("changed its server timeout"), ""},
	{"the tunnel timeout of a TCP backend", func(have *haproxy.Running, want *haproxy.State) {
		have.Loaded.Backends.At(0).Policy.Mode, want.Backends.At(0).Policy.Mode = haproxy.TCP, haproxy.TCP
		want.Backends.At(0).TimeoutTunnel = time.Hour
	}, changed("changed its tunnel timeout"), ""},
	{"a new TCP backend", newBackend(func(b *haproxy.Backend) { b.Policy.Mode = haproxy.TCP }), added, ""},
	{"a new backend of another class", newBackend(func(b *haproxy.Backend) { b.Policy.Balance = haproxy.First }), added, "is new; no loaded defaults section matches it"},
	{"a new backend of a class without a spare left", func(have *haproxy.Running, want *haproxy.State) {
		newBackend(func(*haproxy.Backend) {})(have, want)
		if !want.RuntimeBackends {
			have.Loaded.SpareBackends = 1
			have.Loaded = have.Loaded.AsLoaded()
			spare := have.Loaded.Backends.At(1)
			have.Servers[spare.Name] = servers("9") // somebody has added it
		} else {
			have.Rejected = map[string]string{"b": "no."}
		}
	}, haproxy.ReloadReason{Kind: haproxy.BackendNew, Object: "b", Detail: "is new; no spare backend of its class is left"}, "is new; HAProxy rejected it at run time: no."},
	{"a new backend with a stick table", newBackend(func(b *haproxy.Backend) { b.Policy.ClientAffinity = time.Hour }), added, "is new, with a stick table"},
	{"a new backend with a CA file", newBackend(func(b *haproxy.Backend) { b.Options.CAFile = "/ca.pem" }), added, "is new, with a CA file"},
	{"a new backend with both", newBackend(func(b *haproxy.Backend) { b.Policy.ClientAffinity, b.Options.CAFile = time.Hour, "/ca.pem" }), added, "is new, with a stick table and a CA file"},
	{"a new backend that HAProxy rejected", func(have *haproxy.Running, want *haproxy.State) {
		newBackend(func(*haproxy.Backend) {})(have, want)
		have.Rejected = map[string]string{"b": "no."}
	}, added, "is new; HAProxy rejected it at run time: no."},
	{"a header that no route changed before", func(have *haproxy.Running, want *haproxy.State) {
		have.Loaded.Settings.Rules, want.Settings.Rules = true, true
		have.Loaded.HeaderNames = []string{"x-a"}
		remove := &haproxy.Actions{Request: haproxy.HeaderChanges{Remove: []string{"x-a", "x-b"}}}
		want.Routes = append(slices.Clone(want.Routes), haproxy.Route{Host: "shop.example.com", Backend: "a", Actions: remove})
	}, haproxy.ReloadReason{Kind: haproxy.HeaderNameNew, Object: "x-b", Detail: "is changed by a route for the first time"}, ""},
	{"a map that HAProxy did not replace", func(have *haproxy.Running, want *haproxy.State) {
		want.Routes = append(slices.Clone(want.Routes), haproxy.Route{Host: "shop.example.com", Path: "/", Backend: "a"})
		have.AtReload = map[haproxy.Part]string{{Map: haproxy.RoutesMap}: "too large", {Map: haproxy.NodeMap}: "too large"}
	}, notAtRuntime("map routes"), ""},
	{"a certificate that is too large", func(have *haproxy.Running, want *haproxy.State) {
		want.Certificates = []haproxy.Certificate{{Name: "one.pem", Digest: "new"}}
		have.AtReload = map[haproxy.Part]string{{Certificate: "one.pem"}: "too large", {Certificate: "gone.pem"}: "too large"}
	}, notAtRuntime("certificate one.pem"), ""},
	{"a server that is too large", func(have *haproxy.Running, want *haproxy.State) {
		want.Backends.At(0).Servers = []haproxy.Server{{Addr: loopback, State: haproxy.Ready}}
		have.AtReload = map[haproxy.Part]string{{Server: "a/127.0.0.1:1"}: "too large", {Server: "a/127.0.0.1:2"}: "too large"}
	}, about("a", notAtRuntime("server a/127.0.0.1:1")), ""},
}

var (
	loopback = netip.MustParseAddrPort("127.0.0.1:1")
	added    = haproxy.ReloadReason{Kind: haproxy.BackendNew, Object: "b", Detail: "is new"}
)

func notAtRuntime(object string) haproxy.ReloadReason {
	return haproxy.ReloadReason{Kind: haproxy.NotAtRuntime, Object: object, Detail: "too large"}
}

// about returns a reason with its Backend.
func about(backend string, r haproxy.ReloadReason) haproxy.ReloadReason {
	r.Backend = backend
	return r
}

func frontend(detail string) haproxy.ReloadReason {
	return haproxy.ReloadReason{Kind: haproxy.FrontendChanged, Object: "podgate_http", Detail: detail}
}

func changed(detail string) haproxy.ReloadReason {
	return haproxy.ReloadReason{Kind: haproxy.BackendChanged, Object: "a", Detail: detail}
}

func TestAReasonIsAboutTheBackendThatItNames(t *testing.T) {
	for _, row := range []struct {
		reason haproxy.ReloadReason
		want   string
	}{
		{added, "b"},
		{changed("changed its policy"), "a"},
		{about("a", frontend("is new")), "a"},
		{frontend("is new"), ""},
		{notAtRuntime("map routes"), ""},
		{haproxy.ReloadReason{Kind: haproxy.ForeignConfiguration, Object: "abc"}, ""},
	} {
		if got := row.reason.AboutBackend(); got != row.want {
			t.Errorf("%s: about backend %q, want %q", row.reason, got, row.want)
		}
	}
}

// frontendChange changes the wanted frontend.
func frontendChange(change func(*haproxy.Frontend)) func(*haproxy.Running, *haproxy.State) {
	return func(_ *haproxy.Running, want *haproxy.State) {
		want.Frontends = slices.Clone(want.Frontends)
		change(&want.Frontends[0])
	}
}

// newBackend adds a backend to the wanted State: a copy of the loaded one with a change.
func newBackend(change func(*haproxy.Backend)) func(*haproxy.Running, *haproxy.State) {
	return func(_ *haproxy.Running, want *haproxy.State) {
		b := state("b 2").Backends.At(0)
		change(b)
		want.Backends = haproxy.ListOf(want.Backends.At(0), b)
	}
}

func TestEveryReloadReasonHasItsKindObjectAndDetail(t *testing.T) {
	for _, row := range reasonRows {
		for _, adds := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, where HAProxy adds backends at run time: %v", row.name, adds), func(t *testing.T) {
				have, want, reason := running(state("a 1")), state("a 1"), row.reason
				if adds {
					have, want.RuntimeBackends = dynamic(state("a 1"), nil), true
					reason.Detail = cmp.Or(row.dynamic, reason.Detail)
				}
				row.change(&have, &want)
				if diff := gocmp.Diff(haproxy.Reasons{reason}, haproxy.ReloadReasons(have, want)); diff != "" {
					t.Errorf("reasons (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestEveryReloadReasonHasARow compares the rows with the details in the source.
func TestEveryReloadReasonHasARow(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reloadreason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found int
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		text, _ := strconv.Unquote(lit.Value)
		if !strings.HasPrefix(text, "is ") && !strings.HasPrefix(text, "changed ") && !strings.HasPrefix(text, ", with") && !strings.HasPrefix(text, "; ") {
			return true
		}
		found++
		for _, row := range reasonRows {
			if strings.Contains(row.reason.Detail, text) || strings.Contains(row.dynamic, text) {
				return true
			}
		}
		t.Errorf("%q has no row", text)
		return true
	})
	if found < len(reasonRows)-4 { // four rows share a detail with another one
		t.Errorf("%d details were found in the source, for %d rows", found, len(reasonRows))
	}
}

func TestReloadReasonsAsText(t *testing.T) {
	for _, row := range []struct {
		reasons    haproxy.Reasons
		kind, text string
	}{
		{haproxy.Reasons{{Kind: haproxy.FirstLoad}}, "first-load", "HAProxy has not loaded podgate's configuration yet"},
		{haproxy.Reasons{{Kind: haproxy.ForeignConfiguration, Object: "abc"}}, "foreign-configuration", "HAProxy runs configuration abc, which this podgate did not write"},
		{haproxy.Reasons{{Kind: haproxy.SettingsChanged}}, "settings", "settings changed"},
		{haproxy.Reasons{frontend("is new")}, "frontend", "frontend podgate_http is new"},
		{haproxy.Reasons{changed("changed its policy")}, "backend-changed", "backend a changed its policy"},
		{haproxy.Reasons{added}, "backend-new", "backend b is new"},
		{haproxy.Reasons{added, changed("changed its policy"), added}, "backend-changed", "backend b is new, backend a changed its policy, backend b is new"},
	} {
		if kind, text := row.reasons.Kind().String(), row.reasons.String(); kind != row.kind || text != row.text {
			t.Errorf("got  %s, %q\nwant %s, %q", kind, text, row.kind, row.text)
		}
	}
}
