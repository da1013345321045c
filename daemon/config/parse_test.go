// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"podgate/haproxy"
)

const testFiles = "../../testdata/config"

func equateAddrs() cmp.Option {
	return cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})
}

// TestParseRejectsInvalidFiles compares the errors of each invalid-*.toml with its
// comments "# want: ERROR".
func TestParseRejectsInvalidFiles(t *testing.T) {
	for _, path := range glob(t, "invalid-*.toml") {
		file := filepath.Base(path)
		t.Run(file, func(t *testing.T) {
			text := readFile(t, path)
			c, err := Parse(file, text)
			if err == nil {
				t.Fatal("no error")
			}
			if c != nil {
				t.Error("got a Config and an error")
			}
			if diff := cmp.Diff(wanted(text), strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			var errs Errors
			if !errors.As(err, &errs) {
				t.Errorf("got a %T, want Errors", err)
			}
		})
	}
}

// TestParseReadsValidFiles compares the changes of each valid-*.toml to the defaults
// with its comments "# want: KEY = VALUE".
func TestParseReadsValidFiles(t *testing.T) {
	for _, path := range glob(t, "valid-*.toml") {
		file := filepath.Base(path)
		t.Run(file, func(t *testing.T) {
			text := readFile(t, path)
			c, err := Parse(file, text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wanted(text), changes(c)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// changes prints the keys of c that do not have their default.
func changes(c *Config) []string {
	var lines []string
	defaults := Default().keys()
	for i, k := range c.keys() {
		if printed := k.field.print(); printed != defaults[i].field.print() {
			lines = append(lines, fmt.Sprintf("%s.%s = %s", k.section, k.name, printed))
		}
	}
	for _, g := range c.Grants {
		for _, k := range grantKeys(&g) {
			if printed := k.field.print(); printed != "[]" {
				lines = append(lines, fmt.Sprintf("%s.%s = %s", k.section, k.name, printed))
			}
		}
	}
	return lines
}

func wanted(text []byte) []string {
	var lines []string
	for line := range strings.Lines(string(text)) {
		if want, ok := strings.CutPrefix(line, "# want: "); ok {
			lines = append(lines, strings.TrimSpace(want))
		}
	}
	return lines
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(testFiles, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, testFiles, err)
	}
	return paths
}

func TestParseReachesEveryField(t *testing.T) {
	const text = `
[kubernetes]
server = "https://[2001:db8::1]:6443/"
ca_file = "/k/ca.crt"
token_file = "/k/token"
client_certificate = "/k/tls.crt"
client_key = "/k/tls.key"
namespaces = ["b", "a"]
selector = "tier in (edge, dmz), !internal"
expose = "annotated"
watch = false
poll_interval = "7s"
resync_interval = "1h30m"
max_size = "1536MB"
[haproxy]
folder = "/h/folder/"
admin_socket = "/h/admin.sock"
master_socket = "/h/master.sock"
binary = "/h/haproxy"
config = ["/h/base.cfg", "/h/more.cfg"]
error_files = "/h/errors"
reload_interval = "0s"
hard_stop_after = "2h"
max_worker_reloads = 7
spare_backends = 3
access_log = "json"
[http]
bind = [":80", "[::]:80", "10.0.0.1:8080"]
default_status = 503
ambiguous_paths = "reject"
not_found = "/h/404.html"
relay = "127.0.0.1:7777"
[https]
bind = [":443", "[::]:443"]
certificates = ["/c/one.pem", "/c/more"]
default_certificate = "/c/default.pem"
min_version = "TLSv1.3"
ciphers = "ECDHE-RSA-AES128-GCM-SHA256:!aNULL"
cipher_suites = "TLS_AES_128_GCM_SHA256"
alpn = ["http/1.1"]
client_ca = "/c/clients.pem"
client_certificate = "required"
backend_ca_folder = "/c/backends"
relay = "127.0.0.1:7778"
inner = "[::1]:7779"
redirect_port = 8443
ticket_key_interval = "90m"
[tcp]
addresses = ["10.0.0.1", "::1"]
allowed_ports = ["7000-7100", 5432, "7101", "7050-7080"]
[[tcp.service]]
namespace = "a"
name = "db"
port = "postgres"
listen = 15432
[[tcp.service]]
namespace = "b"
name = "queue"
port = 5672
listen = 5672
[defaults]
algorithm = "leastconn"
check = false
check_interval = "100ms"
cookie = "STICKY"
cookie_key = "k/e+y="
maxconn = 100
timeout_client = "1m"
timeout_server = "2m"
timeout_connect = "3s"
timeout_http_request = "4s"
timeout_keep_alive = "5s"
timeout_queue = "4s"
timeout_tunnel = "6h"
[upstream]
mode = "clusterip"
ip_family = "ipv6"
[peers]
nodes = ["edge2=10.0.0.2:10024", "edge1=[fd00::1]:10024"]
[compatibility]
service_loadbalancer = true
[cloud]
proxy = ["tcp", 5432, "http"]
trusted_sources = ["10.1.0.0/24"]
forwarded_hops = 2
tcp_keep_alive = "3m"
health_bind = [":10880", "[::]:10880"]
health_proxy_bind = [":10881"]
health_path = "/up/2"
health_sources = ["fd00::/8", "10.0.0.0/8", "10.0.0.9"]
drain_wait = "40s"
drain_timeout = "0s"
[safety]
max_removal = 30
from_count = 3
hold_time = "1m"
max_backends = 4
max_routes = 5
max_conditional_routes = 8
max_total_conditional_routes = 9
max_endpoints = 6
max_servers = 70
max_service_servers = 60
max_reload_time = "7s"
max_size = "64KB"
max_service_size = "32KB"
host_ownership = "shared"
networks = ["10.0.0.0/8"]
[admin]
listen = ["10.0.0.2:9999", "[::1]:9999"]
hosts = ["Edge.example.com"]
socket = "/run/p.sock"
history = ""

[stats]
bind = ["10.0.0.2:1936", "[::1]:1936"]
sources = ["10.0.0.0/8"]
metrics = false

[log]
level = "debug"
format = "json"
[[grant]]
namespace = "shop"
hosts = ["Shop.example.com", "*.shop.example.com"]
paths = ["/shop/"]
tcp_ports = [5432]
annotations = ["tcp"]
`
	want := &Config{
		Kubernetes: Kubernetes{
			Servers:           []string{"https://[2001:db8::1]:6443"},
			CAFile:            "/k/ca.crt",
			TokenFile:         "/k/token",
			ClientCertificate: "/k/tls.crt",
			ClientKey:         "/k/tls.key",
			Namespaces:        []string{"a", "b"},
			Selector:          "tier in (edge, dmz), !internal",
			Expose:            ExposeAnnotated,
			PollInterval:      7 * time.Second,
			ResyncInterval:    90 * time.Minute,
			MaxSize:           1536 * MB,
		},
		HAProxy: HAProxy{
			Folder:           "/h/folder",
			AdminSocket:      "/h/admin.sock",
			MasterSocket:     "/h/master.sock",
			Binary:           "/h/haproxy",
			Files:            []string{"/h/base.cfg", "/h/more.cfg"},
			ErrorFolder:      "/h/errors",
			HardStopAfter:    2 * time.Hour,
			MaxWorkerReloads: 7,
			SpareBackends:    3,
			AccessLog:        haproxy.JSONLog,
		},
		HTTP: HTTP{
			Binds: []netip.AddrPort{
				netip.MustParseAddrPort("0.0.0.0:80"),
				netip.MustParseAddrPort("[::]:80"),
				netip.MustParseAddrPort("10.0.0.1:8080"),
			},
			DefaultStatus: 503,

			AmbiguousPaths: RejectAmbiguous,
			NotFound:       "/h/404.html",
			Relay:          netip.MustParseAddrPort("127.0.0.1:7777"),
		},
		HTTPS: HTTPS{
			Binds:              []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:443"), netip.MustParseAddrPort("[::]:443")},
			Certificates:       []string{"/c/one.pem", "/c/more"},
			DefaultCertificate: "/c/default.pem",
			MinVersion:         "TLSv1.3",
			Ciphers:            "ECDHE-RSA-AES128-GCM-SHA256:!aNULL",
			CipherSuites:       "TLS_AES_128_GCM_SHA256",
			ALPN:               []string{"http/1.1"},
			ClientCA:           "/c/clients.pem",
			ClientCertificate:  ClientRequired,
			BackendCAFolder:    "/c/backends",
			Relay:              netip.MustParseAddrPort("127.0.0.1:7778"),
			Inner:              netip.MustParseAddrPort("[::1]:7779"),
			RedirectPort:       8443,
			TicketKeyInterval:  90 * time.Minute,
		},
		TCP: TCP{
			Addresses:    []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1")},
			AllowedPorts: []PortRange{{5432, 5432}, {7000, 7101}},
			Services:     []TCPService{{"a", "db", "postgres", 15432}, {"b", "queue", "5672", 5672}},
		},
		Defaults: Defaults{
			Algorithm:          haproxy.LeastConn,
			CheckInterval:      100 * time.Millisecond,
			Cookie:             "STICKY",
			CookieKey:          "k/e+y=",
			MaxConn:            100,
			TimeoutClient:      time.Minute,
			TimeoutServer:      2 * time.Minute,
			TimeoutConnect:     3 * time.Second,
			TimeoutHTTPRequest: 4 * time.Second,
			TimeoutKeepAlive:   5 * time.Second,
			TimeoutQueue:       4 * time.Second,
			TimeoutTunnel:      6 * time.Hour,
		},
		Safety: Safety{MaxRemoval: 30, FromCount: 3, HoldTime: time.Minute, MaxBackends: 4, MaxRoutes: 5, MaxConditionalRoutes: 8, MaxTotalConditionalRoutes: 9, MaxEndpoints: 6, MaxServers: 70, MaxServiceServers: 60, MaxReloadTime: 7 * time.Second, MaxSize: 64 * KB, MaxServiceSize: 32 * KB, HostOwnership: OwnedByNone,
			Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		Upstream: Upstream{Mode: UpstreamClusterIP, IPFamily: IPFamilyIPv6},
		Peers: Peers{Nodes: []haproxy.Peer{
			{Name: "edge1", Addr: netip.MustParseAddrPort("[fd00::1]:10024")},
			{Name: "edge2", Addr: netip.MustParseAddrPort("10.0.0.2:10024")},
		}},
		Compatibility: Compatibility{ServiceLoadbalancer: true},
		Cloud: Cloud{
			Proxy:            []string{"5432", "http", "tcp"},
			TrustedSources:   []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")},
			ForwardedHops:    2,
			TCPKeepAlive:     3 * time.Minute,
			HealthBinds:      []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:10880"), netip.MustParseAddrPort("[::]:10880")},
			HealthProxyBinds: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:10881")},
			HealthPath:       "/up/2",
			HealthSources:    []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.0.0.9/32"), netip.MustParsePrefix("fd00::/8")},
			DrainWait:        40 * time.Second,
		},
		Grants: []Grant{{Namespace: "shop", Hosts: []haproxy.HostPattern{"shop.example.com", "*.shop.example.com"},
			Paths: []haproxy.PathPrefix{"/shop"}, TCPPorts: []PortRange{{5432, 5432}}, Annotations: []string{"tcp"}}},
		Admin: Admin{
			Listen: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:9999"), netip.MustParseAddrPort("[::1]:9999")},
			Hosts:  []string{"edge.example.com"},
			Socket: "/run/p.sock",
		},
		Stats: Stats{
			Binds:   []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:1936"), netip.MustParseAddrPort("[::1]:1936")},
			Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		},
		Log: Log{Level: slog.LevelDebug, Format: LogJSON},
	}
	got, err := Parse("podgate.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, equateAddrs()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseReadsTheDefaultsThatItPrints(t *testing.T) {
	var lines []string
	var section string
	want := Default()
	want.Kubernetes.Servers = []string{"http://localhost"}
	for _, k := range want.keys() {
		if k.section != section {
			section = k.section
			lines = append(lines, "["+section+"]")
		}
		lines = append(lines, k.name+" = "+k.field.print())
	}
	got, err := Parse("podgate.toml", []byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, equateAddrs(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRenamedKeysLeadToKeysThatExist(t *testing.T) {
	known := map[string]bool{}
	for _, k := range allKeys(new(Config)) {
		known[k.section+"."+k.name] = true
	}
	for old, renamed := range renamedKeys() {
		if known[old] || !known[renamed] {
			t.Errorf("%s was renamed to %s: is the old key gone, and does the new one exist?", old, renamed)
		}
	}
}

func TestLoadFindsErrorFiles(t *testing.T) {
	const text = "[kubernetes]\nkubeconfig = \"/k\"\n[haproxy]\nerror_files = %q\n"
	tests := []struct {
		name  string
		files []string // below the folder; "x/" is a folder
		want  []int
	}{
		{"a folder that does not exist holds none", nil, nil},
		{"files of known codes, by code", []string{"503.http", "400.http"}, []int{400, 503}},
		{"other files and folders are ignored", []string{"200.http", "503.http~", "504.http/x", "502.html", "500.http"}, []int{500}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			folder := filepath.Join(root, "errors")
			for _, file := range tt.files {
				write(t, filepath.Join(folder, file), "")
			}
			path := filepath.Join(root, "podgate.toml")
			write(t, path, fmt.Sprintf(text, folder))
			c, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			var want []haproxy.ErrorFile
			for _, code := range tt.want {
				want = append(want, haproxy.ErrorFile{Code: code, Path: fmt.Sprintf("%s/%d.http", folder, code)})
			}
			if diff := cmp.Diff(want, c.HAProxy.ErrorFiles); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestLoadReportsWhatItCannotRead(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "podgate.toml")

	_, err := Load(path)
	want := fmt.Sprintf("read configuration: open %s: no such file or directory", path)
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != want {
		t.Errorf("a missing file: got %v, want %s", err, want)
	}

	write(t, filepath.Join(root, "file"), "")
	write(t, path, fmt.Sprintf("[haproxy]\nerror_files = %q\n[kubernetes]\nkubeconfig = \"/k\"\nwatch = 1\n", filepath.Join(root, "file")))
	_, err = Load(path)
	want = fmt.Sprintf("%s:2: haproxy.error_files: look for error files: stat %s/file/400.http: not a directory\n"+
		"%[1]s:5: kubernetes.watch: 1 is not a boolean (write true or false)", path, root)
	if err == nil || err.Error() != want {
		t.Errorf("a file in place of a folder, and another error: got\n%v\nwant\n%s", err, want)
	}
}

func TestRestartNeeded(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"nothing changed", func(*Config) {}, nil},
		{"keys that take effect immediately need no restart", func(c *Config) {
			c.Kubernetes.Servers = []string{"https://192.0.2.1"}
			c.Kubernetes.Namespaces = []string{"*"}
			c.HAProxy.ReloadInterval = time.Second
			c.HTTP.Binds = nil
			c.Defaults.MaxConn = 5
			c.Log.Level = slog.LevelDebug
			c.Grants = []Grant{{Namespace: "shop", Hosts: []haproxy.HostPattern{"shop.example.com"}}}
		}, nil},
		{"sockets, HAProxy's files and the log format need one, in the order of the manual", func(c *Config) {
			c.Log.Format = LogJSON
			c.HAProxy.AdminSocket = "/run/other.sock"
			c.HAProxy.Files = append(c.HAProxy.Files, "/etc/haproxy/more.cfg")
		}, []string{"haproxy.admin_socket", "haproxy.config", "log.format"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			tt.change(c)
			if diff := cmp.Diff(tt.want, c.RestartNeeded(Default())); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	words := []string{"poll_interval", "check", "check_interval", "warn", "expose"}
	for word, want := range map[string]string{
		"poll_intervall": "poll_interval",
		"poll-interval":  "poll_interval",
		"Expose":         "expose",
		"epxose":         "expose",
		"poll":           "poll_interval",
		"warning":        "warn",
		"chekc":          "check",
		"che":            "", // two begin so
		"x":              "",
		"":               "",
		"something":      "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestSelectorsAreValidated(t *testing.T) {
	for _, s := range []string{"a", "!a", " a ", "a=b", "a = b", "a==b", "a!=b", "a=", "a in (b)", "a in(b,c)", "a notin ( b , c )", "a in ()", "x.y/z,b"} {
		if _, err := selector(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"in (a)", "a on (b)", "X.y/z", "x/", "/x", "a b", "-a", "a-", "a=b c", "a=b=c", "a,,b", "a,", "a in (b) c", "ü"} {
		if _, err := selector(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

// files are those of testFiles and the example of the package.
func files(f *testing.F) (texts [][]byte) {
	paths, err := filepath.Glob(filepath.Join(testFiles, "*valid-*.toml"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no files in %s: %v", testFiles, err)
	}
	for _, path := range append(paths, "../../packaging/podgate.toml") {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}

// FuzzParse asserts that no text makes Parse panic, that every error has a
// line of the text, and that what is accepted holds no character that means
// something in HAProxy's configuration.
func FuzzParse(f *testing.F) {
	for _, text := range files(f) {
		f.Add(text)
	}
	f.Add([]byte("a = \"\\\n\"")) // an error of the toml package over two lines
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("podgate.toml", text)
		if err == nil {
			h := c.HAProxy
			words := append(slices.Clone(h.Files), h.Folder, h.AdminSocket, h.MasterSocket, h.Binary, h.ErrorFolder,
				c.HTTP.NotFound, c.Defaults.Cookie, c.Defaults.CookieKey)
			for _, w := range words {
				if strings.ContainsAny(w, " \t\r\n\"'\\#$%") {
					t.Errorf("%q was accepted", w)
				}
			}
			return
		}
		var errs Errors
		if !errors.As(err, &errs) || len(errs) == 0 {
			t.Fatalf("got %v, want Errors", err)
		}
		last := 1 + strings.Count(string(text), "\n")
		for _, e := range errs {
			if e.Line < 1 || e.Line > last || e.Text == "" || strings.Contains(e.Error(), "\n") {
				t.Errorf("%#v in %d lines", e, last)
			}
		}
	})
}
