// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// TestAYoungerServiceTakesNothingFromAnOlderOne adds, changes and removes Services of
// another namespace in random order, which claim what those of shop have.
func TestAYoungerServiceTakesNothingFromAnOlderOne(t *testing.T) { inBothModes(t, youngerTakesNothing) }

func youngerTakesNothing(t *testing.T, cfg *config.Config) {
	tried := 0
	for seed := range uint64(60) {
		c := newCluster(seed)
		theirs := map[kubeapi.Key]*kubeapi.Service{}
		for i := range 4 {
			key := kubeapi.Key{Namespace: "shop", Name: fmt.Sprintf("svc%d", i)}
			svc := c.greedy(key, 0)
			c.services[key], theirs[key] = svc, svc
			s := c.slice(key)
			c.slices[s.Key] = s
		}
		want := belongings(Compile(cfg, nil, c.snapshot(), nil), "shop")
		var prev *Result
		for step := range 40 {
			key := kubeapi.Key{Namespace: "default", Name: fmt.Sprintf("svc%d", c.IntN(6))}
			if c.IntN(4) == 0 {
				delete(c.services, key)
			} else {
				c.services[key] = c.greedy(key, int64(1+step))
				tried++
			}
			if c.IntN(2) == 0 {
				s := c.slice(key)
				c.slices[s.Key] = s
			}
			prev = Compile(cfg, nil, c.snapshot(), prev)
			if diff := cmp.Diff(want, belongings(prev, "shop")); diff != "" {
				t.Fatalf("seed %d step %d: namespace default changed what shop has (-want +got):\n%s", seed, step, diff)
			}
		}
	}
	t.Logf("%d Services of another namespace tried", tried)
}

// greedy is a Service that claims what others have.
func (c *cluster) greedy(key kubeapi.Key, created int64) *kubeapi.Service {
	svc := &kubeapi.Service{
		Key: key, Created: time.Unix(created, 0).UTC(), Type: "ClusterIP", Annotations: map[string]string{},
		Ports: []kubeapi.ServicePort{{Name: "http", Port: 80}, {Name: "admin", Port: 8081}}[:1+c.IntN(2)],
	}
	for range c.IntN(5) {
		k := pick(c, keyHost, keyHost, keyPath, keyACLMatch, keyBackendName, keyTCP, keyCookie, keyCookieName, keyRewrite, keyAlgorithm, keySSLTerm, keyPassthrough, keyRedirectHTTPS)
		svc.Annotations[Prefix+string(k)+pick(c, "", "", ".http", ".8081")] = pick(c, append(plausible(k),
			"shop_svc1_80", "shop_svc2_8081", "default_svc1_80", "a.example.com", "/svc1", "/svc2:8081", "/a/b/c", "-i /SVC1", "5001", "podgate", "SERVERID")...)
	}
	return svc
}

// belongings are the backends of a namespace with their routes and frontends, and what
// answers requests for its hosts, a line each.
func belongings(r *Result, namespace string) []string {
	others := func(p ServicePort) bool { return p.Service.Namespace != namespace }
	left := without(r, others)
	// The frontends of podgate.toml belong to no namespace.
	left.Frontends = slices.DeleteFunc(slices.Clone(left.Frontends), func(f haproxy.Frontend) bool { return f.Backend == "" })
	left.HeldHosts = slices.DeleteFunc(slices.Clone(r.State.HeldHosts), func(h haproxy.HeldHost) bool { return h.Namespace != namespace })
	lines := strings.Split(left.String(), "\n")
	for _, h := range left.HeldHosts {
		host := strings.Replace(string(h.Host), "*", "other", 1)
		if r.State.Holder(haproxy.HostPattern(host)) != namespace {
			continue
		}
		for _, tls := range []bool{false, true} {
			for _, path := range []string{"/", "/a", "/A/x", "/a/b/c", "/svc1", "/SVC1/x", "/svc2:8081", "/none"} {
				answer := "404"
				if found := r.State.Match(haproxy.Request{TLS: tls, Host: host, Path: path}); len(found) > 0 {
					answer = found[0].Backend
				}
				lines = append(lines, fmt.Sprintf("%v %s%s %s", tls, host, path, answer))
			}
		}
	}
	return lines
}

// TestGrantsApplyInAnyOrder has Services of two namespaces claim everything, in
// random order: a namespace never gets what is granted to the other only.
func TestGrantsApplyInAnyOrder(t *testing.T) { inBothModes(t, grantsApply) }

func grantsApply(t *testing.T, cfg *config.Config) {
	cfg.Grants = []config.Grant{
		{Namespace: "shop", Hosts: []haproxy.HostPattern{"a.example.com"}, Paths: []haproxy.PathPrefix{"/a"}, TCPPorts: []config.PortRange{{First: 5000, Last: 5000}}},
		{Namespace: "default", Hosts: []haproxy.HostPattern{"b.example.com"}, Paths: []haproxy.PathPrefix{"/svc1", "/svc2:8081"}, TCPPorts: []config.PortRange{{First: 5001, Last: 5009}}},
	}
	routes, frontends := 0, 0
	for seed := range uint64(60) {
		c := newCluster(seed)
		var prev *Result
		for step := range 40 {
			key := kubeapi.Key{Namespace: pick(c, "default", "shop"), Name: fmt.Sprintf("svc%d", c.IntN(6))}
			if c.IntN(3) == 0 {
				delete(c.services, key)
			} else {
				c.services[key] = c.greedy(key, int64(c.IntN(5)))
			}
			prev = Compile(cfg, nil, c.snapshot(), prev)
			for _, r := range prev.State.Routes {
				p, _ := prev.Service(r.Backend)
				routes++
				granted := r.Host != "" && map[haproxy.HostPattern]string{"a.example.com": "shop", "b.example.com": "default"}[r.Host] == p.Service.Namespace ||
					r.Host == "" && (p.Service.Namespace == "shop") == (r.Path == "/a" || len(r.Path) > 3 && r.Path[:3] == "/a/")
				if !granted {
					t.Fatalf("seed %d step %d: %s has %s", seed, step, p.Service, r)
				}
			}
			for _, f := range prev.State.Frontends {
				if p, ok := prev.Service(f.Backend); ok {
					frontends++
					if (p.Service.Namespace == "shop") != (f.Binds[0].Port() == 5000) {
						t.Fatalf("seed %d step %d: %s has port %d", seed, step, p.Service, f.Binds[0].Port())
					}
				}
			}
		}
	}
	if routes == 0 || frontends == 0 {
		t.Errorf("%d routes, %d TCP frontends: nothing was granted", routes, frontends)
	}
	t.Logf("%d routes and %d TCP frontends compared with their grants", routes, frontends)
}

func TestProblemsOfOneServiceAreBounded(t *testing.T) {
	svc := &kubeapi.Service{
		Key: kubeapi.Key{Namespace: "default", Name: "noisy"}, Annotations: map[string]string{},
		Ports: []kubeapi.ServicePort{{Port: 80}},
	}
	for i := range 10_000 {
		svc.Annotations[fmt.Sprintf("%snonsense-%d", Prefix, i)] = "x"
	}
	r := Compile(testConfig(), nil, &kubeapi.Snapshot{Services: []*kubeapi.Service{svc}}, nil)
	if len(r.Problems) != maxProblems+1 || !slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.Text == "and 9950 more problems" }) {
		t.Errorf("%d Problems, the last %v", len(r.Problems), r.Problems[len(r.Problems)-1])
	}
}
