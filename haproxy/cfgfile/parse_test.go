// SPDX-License-Identifier: Apache-2.0

package cfgfile_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

func TestParseReadsWhatRenderWrites(t *testing.T) { checkRoundTrip(t, shop()) }

// checkRoundTrip renders a State and parses the files. It ignores a State that Render
// rejects.
func checkRoundTrip(t *testing.T, s haproxy.State) {
	t.Helper()
	files, err := cfgfile.Render(s, "/etc/haproxy/podgate")
	if err != nil {
		return
	}
	c := cfgfile.Parse(files.Config())
	if c.Generation != files.Generation || c.RelaySecret != s.Settings.RelaySecret {
		t.Errorf("generation %q and secret %q, want %q and %q", c.Generation, c.RelaySecret, files.Generation, s.Settings.RelaySecret)
	}
	want := map[string][]haproxy.Server{}
	backends := map[string]string{}
	for _, b := range s.Backends.All() {
		backends[b.Name] = cfgfile.Class(b.Policy)
		if len(b.Servers) > 0 {
			want[b.Name] = b.Servers
		}
	}
	if diff := cmp.Diff(want, c.Servers(), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("servers (-want +got):\n%s", diff)
	}
	for _, section := range c.Sections {
		if from, ours := backends[section.Name]; section.Kind == "backend" && ours && section.From != from {
			t.Errorf("backend %s is from %s, want %s", section.Name, section.From, from)
		}
		if i := slices.IndexFunc(c.Sections, func(o cfgfile.Section) bool { return o.Kind == "defaults" && o.Name == section.From }); section.From != "" && i < 0 {
			t.Errorf("%s: the defaults section is missing", section.Header())
		}
	}
	var maps []haproxy.Map
	for _, name := range haproxy.MapNames() {
		maps = append(maps, cfgfile.ParseMap(name, files.Maps[cfgfile.MapFile(name)]))
	}
	if diff := cmp.Diff(s.Maps(), maps, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("maps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(s.Routes, haproxy.ParseRoutes(maps), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

// FuzzParse asserts that Parse is the inverse of Render, that it accepts any text, and
// that it returns the same for the text of what it returned.
func FuzzParse(f *testing.F) {
	f.Add([]byte("# x\n\nglobal\n  description gen=a\n\nbackend b from c\n  server 10.0.0.1:80 10.0.0.1:80 weight x\n  server x y\n"), "shop_cart_80", "a.example.com", "/x", "SECRET", []byte{10, 0, 0, 1}, uint16(80), uint16(2))
	f.Add([]byte("  server\nbackend"), "global", "*.example.com", "", "", []byte("sixteen bytes!!!"), uint16(0), uint16(256))
	f.Add([]byte("backend  from \n server 10.0.0.1:80"), " from ", "", "/a b", "a\n b", []byte{}, uint16(1), uint16(1))
	f.Add([]byte("backend  from \xff\nbackend from x\nglobal "), "from", "", "/", "", []byte{10, 0, 0, 1}, uint16(80), uint16(0))
	f.Fuzz(func(t *testing.T, text []byte, backend, host, path, secret string, addr []byte, port, weight uint16) {
		c := cfgfile.Parse(text)
		var again strings.Builder
		for _, s := range c.Sections {
			again.WriteString(s.Header() + "\n")
			for _, line := range s.Lines {
				again.WriteString("  " + line + "\n")
			}
		}
		if diff := cmp.Diff(c, cfgfile.Parse([]byte(again.String()))); diff != "" {
			t.Errorf("%q (-first +again):\n%s", text, diff)
		}
		c.Servers()

		s := haproxy.State{Settings: haproxy.Settings{TimeoutConnect: time.Second}}
		b := &haproxy.Backend{Name: backend, Policy: haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.Random}, Options: haproxy.Options{Protocol: haproxy.Plain}}
		if a, ok := netip.AddrFromSlice(addr); ok {
			b.Servers = []haproxy.Server{{Addr: netip.AddrPortFrom(a, port), State: haproxy.Ready, Weight: weight}}
		}
		s.Backends = haproxy.ListOf(b)
		s.Frontends = []haproxy.Frontend{{Name: "podgate_http", Mode: haproxy.HTTP, Binds: addrs("0.0.0.0:80"), Relay: addrs("127.0.0.1:80")[0]}}
		s.Settings.RelaySecret = secret
		prefix, err := haproxy.ParsePathPrefix(path)
		if pattern, hostErr := haproxy.ParseHost(host); err == nil && (host == "" || hostErr == nil) {
			s.Routes = []haproxy.Route{{Host: pattern, Path: prefix, Backend: backend}}
		}
		checkRoundTrip(t, s)
	})
}
