// SPDX-License-Identifier: Apache-2.0

package dryrun

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/check"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

// hostile is a Service of an attacker, with the values of a fuzzer.
type hostile struct {
	name, annotations string // lines KEY=VALUE, without podgate's prefix
	port, appProtocol string
	number            uint16
	affinity          int64
	addr              []byte
}

// hostiles returns the seeds of FuzzObjectsToFile.
func hostiles() []hostile {
	return []hostile{
		{name: "evil", port: "web", number: 80},
		{name: "evil", annotations: "host=a.example.com,*.b.example.com\npath=/a,/good\nrewrite=/x\naclMatch=-i /Y /z", port: "web", number: 80, addr: []byte{10, 0, 0, 9}},
		{name: "evil", annotations: "tcp=5000\ntimeout-server=2s\nalgorithm=source\nmaxconn=3", port: "db", number: 5432, affinity: 60, addr: []byte{10, 0, 0, 9}},
		{name: "evil", annotations: "cookie-sticky-session=true\ncheck-path=/h%20z\ncheck-interval=300ms\ntimeout-connect=1s", number: 80},
		{name: "evil", annotations: "backend-name=default_good_80\nhost=good.example.com", port: "web", number: 8443, appProtocol: "kubernetes.io/h2c"},
		{name: "evil", annotations: "backend-name=podgate\nbackend-name.web=A.b:c-d_e\nbackend-protocol=h2\nsslTerm=1", port: "web", number: 443},
		{name: "evil", annotations: "backend-name=none\ntcp=5001\nsend-proxy=v2\nupstream=nodeport\nallow-source=10.0.0.0/8", port: "web", number: 1},
		{name: "evil\n  server x 1.2.3.4:5", annotations: "path=/a b\nhost=\x00", port: "w\n", number: 80, appProtocol: "\r\n"},
	}
}

func (h hostile) service(namespace string) *kubeapi.Service {
	svc := &kubeapi.Service{
		Key: kubeapi.Key{Namespace: namespace, Name: h.name}, Created: time.Unix(1000, 0), Type: "ClusterIP",
		Annotations: map[string]string{},
		Ports:       []kubeapi.ServicePort{{Name: h.port, Port: h.number, AppProtocol: h.appProtocol}},
	}
	for line := range strings.SplitSeq(h.annotations, "\n") {
		key, value, _ := strings.Cut(line, "=")
		svc.Annotations[compile.Prefix+key] = strings.ReplaceAll(value, "\\n", "\n")
	}
	if h.affinity != 0 {
		svc.Affinity, svc.AffinityTimeout = "ClientIP", time.Duration(h.affinity)*time.Second
	}
	return svc
}

func (h hostile) slice(namespace string) *kubeapi.EndpointSlice {
	s := &kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: namespace, Name: "slice"}, Service: h.name, AddressType: "IPv4",
		Ports: []kubeapi.EndpointPort{{Name: h.port, Port: h.number}},
	}
	for bytes := range slices.Chunk(h.addr, 16) {
		addr, _ := netip.AddrFromSlice(bytes)
		if len(bytes) < 16 {
			addr, _ = netip.AddrFromSlice(bytes[:min(4, len(bytes))])
		}
		s.Endpoints = append(s.Endpoints, kubeapi.Endpoint{Addr: addr, Ready: true})
	}
	return s
}

// goodService returns a Service that no hostile Service may affect.
func goodService() (*kubeapi.Service, *kubeapi.EndpointSlice) {
	svc := &kubeapi.Service{
		Key: kubeapi.Key{Namespace: "default", Name: "good"}, Created: time.Unix(1, 0), Type: "ClusterIP",
		Annotations: map[string]string{
			compile.Prefix + "host.web": "good.example.com", compile.Prefix + "path.web": "/good", compile.Prefix + "tcp.db": "5009",
			compile.Prefix + "timeout-server": "7s",
		},
		Ports: []kubeapi.ServicePort{{Name: "web", Port: 80}, {Name: "db", Port: 5432}},
	}
	slice := &kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "default", Name: "good-1"}, Service: "good", AddressType: "IPv4",
		Ports:     []kubeapi.EndpointPort{{Name: "web", Port: 8080}, {Name: "db", Port: 5432}},
		Endpoints: []kubeapi.Endpoint{{Addr: netip.MustParseAddr("10.0.0.1"), Ready: true}},
	}
	return svc, slice
}

// clusterOf returns a Snapshot of the good Service and these hostile ones, each in a
// namespace of its own.
func clusterOf(all ...hostile) *kubeapi.Snapshot {
	good, slice := goodService()
	snap := &kubeapi.Snapshot{Services: []*kubeapi.Service{good}, Complete: 1}
	groups := map[kubeapi.Key][]*kubeapi.EndpointSlice{good.Key: {slice}}
	for i, h := range all {
		svc, s := h.service(fmt.Sprintf("evil-%d", i)), h.slice(fmt.Sprintf("evil-%d", i))
		snap.Services = append(snap.Services, svc)
		groups[svc.Key] = append(groups[svc.Key], s)
	}
	slices.SortFunc(snap.Services, func(a, b *kubeapi.Service) int { return a.Compare(b.Key) })
	snap.Slices = kubeapi.SliceIndex{}.With(groups)
	return snap
}

func fuzzConfig() *config.Config {
	c := config.Default()
	c.Kubernetes.Namespaces = []string{"*"}
	c.TCP.AllowedPorts = []config.PortRange{{First: 5000, Last: 5009}}
	c.TCP.Addresses = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	return c
}

// check compares the files for a cluster with the hostile Service to those without it.
// It allows only additions for the hostile Service.
func (h hostile) check(t *testing.T) {
	t.Helper()
	alone, both := compile.Compile(fuzzConfig(), nil, clusterOf(), nil), compile.Compile(fuzzConfig(), nil, clusterOf(h), nil)
	want, err := cfgfile.Render(alone.State.WithoutSpares(), "/etc/podgate")
	if err != nil {
		t.Fatal(err)
	}
	got, err := cfgfile.Render(both.State.WithoutSpares(), "/etc/podgate")
	if err != nil {
		t.Fatalf("%+v: %v", h, err)
	}
	theirs := func(backend string) bool {
		p, ok := both.Service(backend)
		return ok && p.Service.Namespace == "evil-0"
	}
	texts, wanted := got.Maps, want.Maps
	texts[cfgfile.ConfigFile], wanted[cfgfile.ConfigFile] = got.Config(), want.Config()
	for name, text := range texts {
		have, before := sections(name, text), sections(name, wanted[name])
		for section := range have {
			kind, rest, _ := strings.Cut(section, " ")
			_, old := before[section]
			switch {
			case kind == "global", kind == "defaults" && strings.HasPrefix(rest, "podgate-"):
				continue // the generation; defaults sections, which are named by their content
			case kind == "backend" && !old && theirs(rest):
				delete(have, section)
			case kind == "frontend" && !old && len(have[section]) > 0 && theirs(defaultBackend(have[section])):
				delete(have, section)
			case section == name: // a map
				have[section] = slices.DeleteFunc(have[section], func(line string) bool {
					return theirs(mapBackend(name, line)) || strings.Contains(line, " "+haproxy.HeldPrefix+"evil-0|")
				})
			}
		}
		for _, all := range []map[string][]string{have, before} {
			for section := range all {
				if section == "global" || strings.HasPrefix(section, "defaults podgate-") {
					delete(all, section)
				}
			}
		}
		if len(have[name])+len(before[name]) == 0 {
			delete(have, name)
			delete(before, name)
		}
		if diff := cmp.Diff(before, have); diff != "" {
			t.Fatalf("%+v: %s has changed lines of other Services (-without +with):\n%s", h, name, diff)
		}
	}
}

func defaultBackend(lines []string) string {
	for _, line := range lines {
		if name, ok := strings.CutPrefix(line, "default_backend "); ok {
			return name
		}
	}
	return ""
}

// mapBackend returns the backend in a line of a map.
func mapBackend(name, line string) string {
	key, value, _ := strings.Cut(line, " ")
	if strings.HasPrefix(name, "timeouts") || strings.HasPrefix(name, "cookies") {
		return key
	}
	backend, _, _ := strings.Cut(value, "|")
	return backend
}

// haproxyFor returns a real HAProxy, or the zero value if it is not installed.
func haproxyFor(t testing.TB) check.HAProxy {
	t.Helper()
	binary, err := haproxytest.Binary()
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Log("HAProxy is not installed: the files are not checked with it")
		return check.HAProxy{}
	}
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(t.TempDir(), "base.cfg")
	if err := os.WriteFile(base, []byte("global\n  maxconn 100\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return check.HAProxy{Binary: binary, Files: []string{base}}
}

// TestHostileObjects checks the seeds of the fuzz test, alone and together.
func TestHostileObjects(t *testing.T) {
	h := haproxyFor(t)
	all := hostiles()
	for _, one := range all {
		one.check(t)
	}
	if h.Binary == "" {
		return
	}
	if err := h.State(t.Context(), compile.Compile(fuzzConfig(), nil, clusterOf(all...), nil).State); err != nil {
		t.Error(err)
	}
}

// FuzzObjectsToFile covers the path from objects to files: whatever a Service contains,
// HAProxy accepts the files, and nothing of other Services changes in them. It runs
// HAProxy for batches of Services, because HAProxy takes a while to start.
func FuzzObjectsToFile(f *testing.F) {
	for _, h := range hostiles() {
		f.Add(h.name, h.annotations, h.port, h.appProtocol, h.number, h.affinity, h.addr)
	}
	real := haproxyFor(f)
	const batch = 200
	var batched []hostile
	f.Fuzz(func(t *testing.T, name, annotations, port, appProtocol string, number uint16, affinity int64, addr []byte) {
		h := hostile{name, annotations, port, appProtocol, number, affinity, addr}
		h.check(t)
		batched = append(batched, h)
		if len(batched) < batch || real.Binary == "" {
			return
		}
		all := batched
		batched = nil
		load := func(some []hostile) error {
			return real.State(t.Context(), compile.Compile(fuzzConfig(), nil, clusterOf(some...), nil).State)
		}
		err := load(all)
		for i := 0; err != nil && i < len(all); i++ {
			if one := load(all[i : i+1]); one != nil {
				t.Fatalf("%+v: %v", all[i], one)
			}
		}
		if err != nil {
			t.Fatalf("only several together: %v\n%+v", err, all)
		}
	})
}
