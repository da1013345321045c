// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/config"
	"podgate/kubeapi"
)

func TestExplainCoversPortsEndpointsAndAnnotations(t *testing.T) {
	older, younger := exposed("older", 1), exposed("younger", 2)
	younger.Annotations[Prefix+"host"] = "a.example.com, b.example.com"
	younger.Annotations[Prefix+"algorithm"] = "fastest"
	younger.Annotations[Prefix+"check-interval"] = "2m"
	younger.Annotations[Prefix+"rewrite"] = "true"
	younger.Annotations[Prefix+"hots"] = "c"
	endpoint := func(addr string, ready, serving, terminating bool) kubeapi.Endpoint {
		return kubeapi.Endpoint{Addr: netip.MustParseAddr(addr), Ready: ready, Serving: serving, Terminating: terminating, Pod: "pod-" + addr}
	}
	right := &kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "default", Name: "younger-1"}, ResourceVersion: "7", Service: "younger", AddressType: "IPv4",
		Ports: []kubeapi.EndpointPort{{Port: 8080}},
		Endpoints: []kubeapi.Endpoint{
			endpoint("10.0.0.1", true, true, false), endpoint("10.0.0.2", false, true, true),
			endpoint("10.0.0.3", false, false, false), endpoint("10.0.0.4", false, false, true),
		},
	}
	wrong := &kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "default", Name: "younger-2"}, ResourceVersion: "8", Service: "younger", AddressType: "IPv4",
		Ports: []kubeapi.EndpointPort{{Name: "web", Port: 80}}, Endpoints: []kubeapi.Endpoint{endpoint("10.0.0.9", true, true, false)},
	}
	six := &kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "default", Name: "younger-6"}, ResourceVersion: "9", Service: "younger", AddressType: "IPv6",
		Ports: []kubeapi.EndpointPort{{Port: 8080}}, Endpoints: []kubeapi.Endpoint{endpoint("fd00::1", true, true, false)},
	}
	r := Compile(testConfig(), nil, &kubeapi.Snapshot{
		Services: []*kubeapi.Service{older, younger},
		Slices:   kubeapi.SliceIndex{}.With(map[kubeapi.Key][]*kubeapi.EndpointSlice{younger.Key: {right, wrong, six}}),
	}, nil)
	e, ok := r.Explain(younger.Key)
	if !ok || e.Object != younger || e.Skipped != "" || len(e.Ports) != 1 || len(e.Conflicts) != 1 {
		t.Fatalf("got %+v, %v", e, ok)
	}
	if want := (ExplainedConflict{"route a.example.com/", "default/older port 80", "default/younger port 80", "is older"}); e.Conflicts[0] != want {
		t.Errorf("got %+v, want %+v", e.Conflicts[0], want)
	}
	if won, _ := r.Explain(older.Key); !slices.Equal(won.Conflicts, e.Conflicts) {
		t.Errorf("the winner has other conflicts: %+v", won.Conflicts)
	}
	p := e.Ports[0]
	if p.Backend == nil || p.Backend.Name != "default_younger_80" || len(p.Routes) != 1 || p.Routes[0].Host != "b.example.com" {
		t.Errorf("got %+v", p)
	}
	var endpoints []string
	for _, x := range p.Endpoints {
		endpoints = append(endpoints, fmt.Sprintf("%s %s %s@%s: %s: %s", x.Addr, x.Pod, x.Slice, x.Version, x.State, x.Why))
	}
	want := []string{
		`10.0.0.9 pod-10.0.0.9 younger-2@8: : its EndpointSlice has no TCP port named "" (it has "web")`,
		`10.0.0.1:8080 pod-10.0.0.1 younger-1@7: ready: `,
		`10.0.0.2:8080 pod-10.0.0.2 younger-1@7: drain: its pod is terminating`,
		`10.0.0.3:8080 pod-10.0.0.3 younger-1@7: : its pod is not ready`,
		`10.0.0.4:8080 pod-10.0.0.4 younger-1@7: : its pod is terminating and no longer serving`,
		`[fd00::1]:8080 pod-fd00::1 younger-6@9: : its pod is reached by an address of the other family (ipFamilies of the Service, upstream.ip_family)`,
	}
	slices.Sort(want)
	slices.Sort(endpoints)
	if diff := cmp.Diff(want, endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	var annotations []string
	for _, u := range e.Annotations {
		annotations = append(annotations, fmt.Sprintf("%s=%s: %s: %s", strings.TrimPrefix(u.Key, Prefix), u.Value, u.Meaning, u.Problem))
	}
	if diff := cmp.Diff([]string{
		`algorithm=fastest: : "fastest" is not one of roundrobin, leastconn, first, source, random`,
		`check-interval=2m: 2m: `,
		`host=a.example.com, b.example.com: a.example.com, b.example.com: route a.example.com/ is taken by Service default/older port 80, which is older`,
		`hots=c: : unknown key (did you mean "serviceloadbalancer/lb.host"?); ports without host are not served`,
		`rewrite=true: the matched path is removed: has no effect because the port serves every path`,
	}, annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if _, ok := r.Explain(kubeapi.Key{Namespace: "default", Name: "gone"}); ok {
		t.Error("a Service that does not exist is explained")
	}
}

// TestExplainShowsTheValidPartOfAList has two ports with the same annotation.
func TestExplainShowsWhatSetsTheProtocol(t *testing.T) {
	cfg := testConfig()
	cfg.HTTPS.Binds = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:443")}
	cfg.TCP.AllowedPorts = []config.PortRange{{First: 1, Last: 65535}}
	svc := exposed("cart", 1)
	svc.Annotations = map[string]string{
		Prefix + "sslTerm": "true", Prefix + "sslTerm.mysql": "false", Prefix + "tcp.mysql": "3306", Prefix + "sslTerm.plain": "false",
		Prefix + "backend-protocol.chosen": "h2",
	}
	svc.Ports = []kubeapi.ServicePort{
		{Name: "number", Port: 443, TargetPort: "8080"}, {Name: "named", Port: 80, TargetPort: "web-https"}, {Name: "absent", Port: 8443},
		{Name: "app", Port: 81, AppProtocol: "h2c", TargetPort: "8443"}, {Name: "chosen", Port: 82, AppProtocol: "h2c"},
		{Name: "mysql", Port: 3306, AppProtocol: "https"}, {Name: "plain", Port: 83, TargetPort: "8443"},
	}
	e, _ := Compile(cfg, nil, &kubeapi.Snapshot{Services: []*kubeapi.Service{svc}}, nil).Explain(svc.Key)
	var got []string
	for _, p := range e.Ports {
		got = append(got, fmt.Sprint(p.Name, " ", p.Backend.Options.Protocol, p.ProtocolFrom))
	}
	want := []string{
		"number plain (target port 8080)", "named tls (target port web-https)", "absent tls (target port 8443)",
		"app h2c (appProtocol)", "chosen h2 (backend-protocol)", "mysql plain", "plain plain",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestExplainShowsTheValidPartOfAList(t *testing.T) {
	for _, row := range []struct{ key, value, meaning, text string }{
		{"path", "cart", "", `"cart" is not a path: it does not begin with /; has no usable path; the port is not served`},
		{"path", "/cart,basket", "/cart", `"basket" is not a path: it does not begin with /`},
		{"path", "/cart,/basket", "/cart, /basket", ""},
		{"host", "a.example.com,-", "a.example.com", `"-" is not a host name: a label begins or ends with -`},
		{"host", "a-", "", `"a-" is not a host name: a label begins or ends with -; has no usable host; the port is not served`},
	} {
		svc := exposed("cart", 1)
		svc.Ports = []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}, {Name: "more", Protocol: "TCP", Port: 81}}
		svc.Annotations[Prefix+row.key] = row.value
		r := Compile(testConfig(), nil, &kubeapi.Snapshot{Services: []*kubeapi.Service{svc}}, nil)
		e, _ := r.Explain(svc.Key)
		i := slices.IndexFunc(e.Annotations, func(u ExplainedAnnotation) bool { return u.Key == Prefix+row.key })
		if i < 0 {
			t.Fatalf("%+v", e.Annotations)
		}
		u := e.Annotations[i]
		text, _, _ := strings.Cut(u.Problem, "; route ") // a conflict of the second port with the first
		if u.Meaning != row.meaning || !strings.HasPrefix(text, row.text) || strings.Count(u.Problem, "is not a") > 1 || !slices.Equal(u.Ports, []string{"web", "more"}) {
			t.Errorf("%s %s: %+v", row.key, row.value, u)
		}
	}
}

// TestEveryScenarioCanBeExplained checks that each Problem has a kind, and that the
// explanations have everything that is served.
func TestEveryScenarioCanBeExplained(t *testing.T) {
	files, err := filepath.Glob("../../testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		s := readScenario(t, file)
		r := Compile(s.config, nil, s.snapshot, nil)
		backends, routes, problems := 0, 0, 0
		for _, o := range r.Overviews() {
			e, ok := r.Explain(o.Object.Key)
			if !ok {
				t.Errorf("%s: %s is not explained", file, o.Object.Key)
			}
			problems += len(e.Problems)
			for _, p := range e.Ports {
				routes += len(p.Routes)
				if p.Backend != nil {
					backends++
				}
			}
			if len(o.Backends) > len(e.Ports) {
				t.Errorf("%s: %s has %d backends on %d ports", file, o.Object.Key, len(o.Backends), len(e.Ports))
			}
		}
		if backends != r.State.Backends.Len() || routes != len(r.State.Routes) || problems != len(r.Problems) {
			t.Errorf("%s: explained %d backends, %d routes, %d Problems of %d, %d, %d", file,
				backends, routes, problems, r.State.Backends.Len(), len(r.State.Routes), len(r.Problems))
		}
		for _, p := range r.Problems {
			if !slices.Contains(Kinds(), p.Kind) {
				t.Errorf("%s: kind %q of %s", file, p.Kind, p)
			}
		}
	}
}
