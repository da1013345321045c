// SPDX-License-Identifier: Apache-2.0

package cfgfile_test

import (
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/haproxytest"
)

var update = flag.Bool("update", false, "rewrite the expected files")

// shop returns a State that uses every feature.
func shop() haproxy.State {
	http := haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.RoundRobin}
	return haproxy.State{
		Settings: settings(),
		Frontends: []haproxy.Frontend{
			{Name: "podgate_health", Mode: haproxy.HTTP, Binds: addrs("0.0.0.0:10880", "[::]:10880"), Health: &haproxy.Health{Path: "/healthz", Sources: networks("10.0.0.0/8")}},
			{Name: "podgate_health_proxy", Mode: haproxy.HTTP, Binds: addrs("10.0.0.7:10881"), Health: &haproxy.Health{Path: "/healthz", Proxy: true}},
			{Name: "podgate_http", Mode: haproxy.HTTP, Binds: addrs("0.0.0.0:80", "[::]:80"), Relay: addrs("127.80.71.1:80")[0], ExpectProxy: true},
			{Name: "podgate_https", Mode: haproxy.HTTP, Binds: addrs("0.0.0.0:443", "[::]:443"), Relay: addrs("127.80.71.1:81")[0], TLSLoopback: addrs("127.80.71.1:82")[0], TLS: shopTLS(), ExpectProxy: true},
			{Name: "podgate_stats", Mode: haproxy.HTTP, Binds: addrs("127.0.0.1:1936"), Stats: &haproxy.Stats{Sources: networks("127.0.0.0/8"), Metrics: true}},
			{Name: "podgate_tcp_5432", Mode: haproxy.TCP, Binds: addrs("0.0.0.0:5432"), Backend: "shop_db_5432", ExpectProxy: true},
		},
		Backends: haproxy.ListOf([]*haproxy.Backend{
			{
				Name:    "shop_cart_80",
				Policy:  haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.LeastConn, Cookie: "SERVERID", CookieKey: "podgate", CheckPath: "/healthz", TimeoutConnect: time.Second, AllowSource: haproxy.JoinNetworks(networks("10.0.0.0/8", "fd00::/8"))},
				Cookie:  haproxy.Cookie{Name: "SERVERID-0123456789ab", Secure: true},
				Options: haproxy.Options{Protocol: haproxy.Plain, Check: true, CheckInterval: 5 * time.Second, MaxConn: 50, SendProxy: haproxy.ProxyV2, SlowStart: 30 * time.Second},
				Servers: servers("10.2.9.103:8080", "[fd00::7]:8080"),
			},
			{
				Name:    "shop_db_5432",
				Policy:  haproxy.Policy{Mode: haproxy.TCP, Balance: haproxy.Source, ClientAffinity: 3 * time.Hour, AllowSource: "192.0.2.0/24"},
				Options: haproxy.Options{Protocol: haproxy.Plain, Check: true, CheckInterval: time.Second, SendProxy: haproxy.ProxyV1},
				Servers: servers("10.2.9.5:5432"), TimeoutServer: time.Hour,
			},
			{
				Name: "shop_far_443", Policy: http, HSTS: "31536000",
				Options: haproxy.Options{Protocol: haproxy.H2, CAFile: "CA", ServerName: "far.shop.svc", Check: true, CheckInterval: time.Second},
				Servers: servers("10.2.9.9:8443"),
			},
			{Name: "shop_h2_80", Policy: http, Options: haproxy.Options{Protocol: haproxy.H2}, Servers: servers("10.2.9.6:8443")},
			{Name: "shop_h2c_80", Policy: http, Options: haproxy.Options{Protocol: haproxy.H2C}, Servers: servers("10.2.9.7:8081")},
			{Name: "shop_tls_443", Policy: http, Options: haproxy.Options{Protocol: haproxy.TLS, ServerName: "tls.example.com", Check: true, CheckInterval: time.Second}, TimeoutServer: 90 * time.Second, Servers: servers("10.2.9.8:8443")},
		}...),
		Routes: []haproxy.Route{
			{Path: "/cart", Backend: "shop_cart_80", Rewrite: "/"},
			{Path: "/old", Backend: "shop_cart_80", Rewrite: "/new", FoldCase: true},
			{Host: "*.shop.example.com", Backend: "shop_h2_80"},
			{Host: "shop.example.com", Path: "/api", Backend: "shop_h2c_80"},
			{Host: "tls.example.com", Redirect: haproxy.ToHTTPS, Backend: "shop_tls_443"},
			{Host: "*.pass.example.com", Backend: "shop_db_5432", TLS: true, Passthrough: true},
			{Host: "not.pass.example.com", Backend: "shop_tls_443", TLS: true},
			{Host: "tls.example.com", Backend: "shop_tls_443", TLS: true},
			{Host: "tls.example.com", Path: "/far", Backend: "shop_far_443", TLS: true, FoldCase: true},
		},
		Node: haproxy.Node{Served: true, Draining: true},
		Certificates: []haproxy.Certificate{
			{Name: "default.pem"},
			{Name: "shop.pem", Serves: []string{"*.example.com", "tls.example.com"}},
		},
	}
}

func shopTLS() haproxy.Termination {
	return haproxy.Termination{
		MinVersion: "TLSv1.2", Ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuites: "TLS_AES_128_GCM_SHA256", ALPN: "h2,http/1.1",
		Default: "default.pem", ClientCA: "CA", ClientVerify: haproxy.VerifyOptional,
	}
}

func settings() haproxy.Settings {
	return haproxy.Settings{
		TimeoutClient: 50 * time.Second, TimeoutServer: 50 * time.Second, TimeoutConnect: 5 * time.Second,
		TimeoutQueue: 20 * time.Second, TimeoutHTTPRequest: 10 * time.Second, TimeoutKeepAlive: time.Minute, TimeoutTunnel: time.Hour,
		HardStopAfter: time.Hour, MaxWorkerReloads: 20, RedirectPort: 8443,
		ClientKeepAlive: 2 * time.Minute, Trusted: networks("10.0.0.0/16", "fd00:1::/32"), ForwardedHops: 2, HoldHosts: true, RelaySecret: "shown-at-the-relay",
		Peers: []haproxy.Peer{{Name: "edge1", Addr: addrs("10.0.0.1:10024")[0]}, {Name: "edge2", Addr: addrs("[fd00::2]:10024")[0]}},
	}
}

func networks(texts ...string) (list []netip.Prefix) {
	for _, t := range texts {
		list = append(list, netip.MustParsePrefix(t))
	}
	return list
}

func addrs(texts ...string) (list []netip.AddrPort) {
	for _, t := range texts {
		list = append(list, netip.MustParseAddrPort(t))
	}
	return list
}

func servers(texts ...string) (list []haproxy.Server) {
	for _, addr := range addrs(texts...) {
		list = append(list, haproxy.Server{Addr: addr, State: haproxy.Ready})
	}
	return list
}

func TestRender(t *testing.T) {
	files, err := cfgfile.Render(shop(), "/var/lib/podgate/haproxy")
	must(t, err)
	files.Maps[cfgfile.ConfigFile] = files.Config()
	files.Maps[cfgfile.CrtListFile] = files.CrtList
	for name, got := range files.Maps {
		golden := filepath.Join("testdata", name)
		if *update {
			must(t, os.WriteFile(golden, got, 0o644))
		}
		want, err := os.ReadFile(golden)
		must(t, err)
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestHAProxyAcceptsRenderedFiles(t *testing.T) {
	haproxytest.Need(t)
	binary, err := haproxytest.Binary()
	must(t, err)
	for name, state := range map[string]haproxy.State{"everything": shop(), "no Services": {Settings: settings(), Frontends: shop().Frontends[:3]}, "rules": rules()} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			ca := filepath.Join(folder, "ca.pem")
			write(t, ca, haproxytest.Certificate(t, "ca.example.com"))
			for i := range state.Frontends {
				if tls := &state.Frontends[i].TLS; tls.ClientCA != "" {
					tls.ClientCA = ca
				}
			}
			for _, b := range state.Backends.All() {
				if o := &b.Options; o.CAFile != "" {
					o.CAFile = ca
				}
			}
			files, err := cfgfile.Render(state, folder)
			must(t, err)
			for name, text := range files.Maps {
				write(t, filepath.Join(folder, name), text)
			}
			write(t, filepath.Join(folder, cfgfile.ConfigFile), files.Config())
			write(t, filepath.Join(folder, cfgfile.CrtListFile), files.CrtList)
			write(t, filepath.Join(folder, cfgfile.TicketKeysFile), []byte(strings.Repeat(strings.Repeat("A", 64)+"\n", 3)))
			for _, c := range state.Certificates {
				write(t, cfgfile.CertificatePath(folder, c.Name), haproxytest.Certificate(t, "a.example.com"))
			}
			write(t, filepath.Join(folder, cfgfile.ServerStateFile), []byte("1\n"))
			base := filepath.Join(t.TempDir(), "base.cfg")
			write(t, base, []byte("global\n  log 127.0.0.1 local0\ndefaults\n  timeout client 1s\n  timeout server 1s\n  timeout connect 1s\n"))
			out, err := exec.CommandContext(t.Context(), binary, "-L", "edge1", "-c", "-f", base, "-f", folder).CombinedOutput()
			if err != nil || strings.Contains(string(out), "[WARNING]") {
				t.Errorf("haproxy -c: %v\n%s\n%s", err, out, files.Config())
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, text, 0o644))
}

func TestGenerationDependsOnTheStructure(t *testing.T) {
	generation := func(change func(*haproxy.State)) string {
		s := shop()
		change(&s)
		files, err := cfgfile.Render(s, "/f")
		must(t, err)
		return files.Generation
	}
	same := generation(func(*haproxy.State) {})
	for name, change := range map[string]func(*haproxy.State){
		"a server is added":       func(s *haproxy.State) { s.Backends.At(0).Servers = servers("10.0.0.1:80") },
		"all servers are removed": func(s *haproxy.State) { s.Backends.At(0).Servers = nil },
		"a route is removed":      func(s *haproxy.State) { s.Routes = s.Routes[1:] },
		"a drain ends":            func(s *haproxy.State) { s.Node.Draining = false },
		"an HTTP timeout changes": func(s *haproxy.State) { s.Backends.At(4).TimeoutServer = time.Second },
	} {
		if generation(change) != same {
			t.Errorf("%s: the generation changed", name)
		}
	}
	for name, change := range map[string]func(*haproxy.State){
		"a backend is added": func(s *haproxy.State) {
			s.Backends = haproxy.ListOf(append(s.Backends.Slice(), &haproxy.Backend{Name: "z", Policy: s.Backends.At(2).Policy})...)
		},
		"a backend is removed":                               func(s *haproxy.State) { s.Backends = haproxy.ListOf(s.Backends.Slice()[1:]...) },
		"the algorithm changes":                              func(s *haproxy.State) { s.Backends.At(0).Policy.Balance = haproxy.First },
		"client affinity ends":                               func(s *haproxy.State) { s.Backends.At(1).Policy.ClientAffinity = 0 },
		"server options change of a backend without servers": func(s *haproxy.State) { s.Backends.At(4).Options.MaxConn = 3 },
		"the relay is removed":                               func(s *haproxy.State) { s.Frontends[2].Relay = netip.AddrPort{} },
		"the health path changes":                            func(s *haproxy.State) { s.Frontends[0].Health = &haproxy.Health{Path: "/up"} },
		"a bind changes":                                     func(s *haproxy.State) { s.Frontends[0].Binds = addrs("127.0.0.1:80") },
		"a setting changes":                                  func(s *haproxy.State) { s.Settings.TimeoutTunnel = time.Minute },
		"a TCP timeout changes":                              func(s *haproxy.State) { s.Backends.At(1).TimeoutServer = time.Minute },
		"the default status changes":                         func(s *haproxy.State) { s.Settings.DefaultStatus = 503 },
		"ambiguous paths are rejected":                       func(s *haproxy.State) { s.Settings.RejectAmbiguous = true },
		"the default page changes":                           func(s *haproxy.State) { s.Settings.NotFound = "/etc/podgate/404.html" },
		"a check path is removed":                            func(s *haproxy.State) { s.Backends.At(0).Policy.CheckPath = "" },
	} {
		if generation(change) == same {
			t.Errorf("%s: the generation did not change", name)
		}
	}
}

// TestGenerationWithRuntimeBackends is for a HAProxy that adds backends at run time.
func TestGenerationWithRuntimeBackends(t *testing.T) {
	loaded := shop()
	loaded.RuntimeBackends = true
	loaded = loaded.AsLoaded()
	render := func(s haproxy.State) cfgfile.Files {
		files, err := cfgfile.Render(s, "/f")
		must(t, err)
		return files
	}
	same := render(loaded)
	cart, _ := loaded.Backend("shop_cart_80")
	another := cart
	another.Name = "shop_another_80"
	added := loaded.WithBackends([]*haproxy.Backend{&another}, nil)
	if got := render(added); got.Generation != same.Generation {
		t.Errorf("a dynamic backend was added: generation %s, want %s", got.Generation, same.Generation)
	} else if text := string(got.Config()); !strings.Contains(text, "\nbackend shop_another_80 from "+cfgfile.Class(cart.Policy)) {
		t.Errorf("the file does not contain the added backend:\n%s", text)
	}
	deleted := render(loaded.WithBackends(nil, map[string]bool{"shop_cart_80": true}))
	if deleted.Generation != same.Generation {
		t.Errorf("a dynamic backend was deleted: generation %s, want %s", deleted.Generation, same.Generation)
	}
	if !strings.Contains(string(deleted.Config()), "\ndefaults "+cfgfile.Class(cart.Policy)) {
		t.Errorf("the class of the deleted backend is missing:\n%s", deleted.Config())
	}

	for name, change := range map[string]func(*haproxy.State){
		"it is loaded with another dynamic backend":   func(s *haproxy.State) { *s = s.WithBackends([]*haproxy.Backend{&another}, nil) },
		"the policy of a dynamic backend changes":     func(s *haproxy.State) { s.Backends.At(0).Policy.Balance = haproxy.First },
		"the options of a dynamic backend change":     func(s *haproxy.State) { s.Backends.At(0).Options.MaxConn = 99 },
		"a backend with a stick table is removed":     func(s *haproxy.State) { *s = s.WithBackends(nil, map[string]bool{"shop_db_5432": true}) },
		"backends are not added at run time any more": func(s *haproxy.State) { s.RuntimeBackends = false },
	} {
		s := shop()
		s.RuntimeBackends = true
		change(&s)
		if render(s).Generation == same.Generation {
			t.Errorf("%s: the generation did not change", name)
		}
	}
}

func TestRenderRejectsCharactersThatWouldEndAWord(t *testing.T) {
	const bug = " contains a character that HAProxy's configuration does not allow (this is a bug in podgate, please report it)"
	for want, change := range map[string]func(*haproxy.State){
		`backend "a\n b"` + bug:      func(s *haproxy.State) { s.Backends.At(0).Name = "a\n b" },
		`check path "/x y"` + bug:    func(s *haproxy.State) { s.Backends.At(0).Policy.CheckPath = "/x y" },
		`cookie "a\"b"` + bug:        func(s *haproxy.State) { s.Backends.At(0).Policy.Cookie = `a"b` },
		`default page "/a\\b"` + bug: func(s *haproxy.State) { s.Settings.NotFound = `/a\b` },
		`frontend "a#b"` + bug:       func(s *haproxy.State) { s.Frontends[0].Name = "a#b" },
		`map routes: entry {"a b/api/" "shop_h2c_80|20004"}: not two words`: func(s *haproxy.State) { s.Routes[3].Host = "a b" },
	} {
		s := shop()
		change(&s)
		_, err := cfgfile.Render(s, "/f")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %s", err, want)
		}
	}
}

func TestEachBackendNamesTheStateFileIfTheGlobalSectionCannot(t *testing.T) {
	b := &haproxy.Backend{Name: "shop_cart_80", Policy: haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.RoundRobin}}
	s := haproxy.State{Backends: haproxy.ListOf(b)}
	for _, row := range []struct {
		perBackend bool
		want, no   string
	}{
		{false, "global\n  description gen=", "server-state-file-name"},
		{true, "  load-server-state-from-file local\n  server-state-file-name /var/lib/podgate/haproxy/servers.state\n", "  server-state-file "},
	} {
		s.Settings.StatePerBackend = row.perBackend
		files, err := cfgfile.Render(s, "/var/lib/podgate/haproxy")
		must(t, err)
		if text := string(files.Config()); !strings.Contains(text, row.want) || strings.Contains(text, row.no) {
			t.Errorf("StatePerBackend %t: want %q and no %q in\n%s", row.perBackend, row.want, row.no, text)
		}
	}
}
