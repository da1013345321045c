// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"podgate/haproxy"
)

// A small object can become a large configuration: each endpoint of a Service is a server
// of each of its ports, and each host of an annotation has each path. These limits count
// what is rendered.

// cutServers returns the first most of servers that are sorted by address, ready ones
// before others, sorted by address.
func cutServers(servers []haproxy.Server, most int) []haproxy.Server {
	if len(servers) <= most {
		return servers
	}
	servers = slices.SortedStableFunc(slices.Values(servers), func(a, b haproxy.Server) int { return cmp.Compare(a.State, b.State) })
	if servers = slices.Clip(servers[:most]); most == 0 {
		return nil
	}
	slices.SortFunc(servers, func(a, b haproxy.Server) int { return a.Addr.Compare(b.Addr) })
	return servers
}

// cutPorts cuts the servers of all ports of a Service together to a budget: to the same
// number for each port that has more.
func cutPorts(ports [][]haproxy.Server, fits func([][]haproxy.Server) bool) [][]haproxy.Server {
	cutTo := func(each int) [][]haproxy.Server {
		cut := make([][]haproxy.Server, len(ports))
		for i, servers := range ports {
			cut[i] = cutServers(servers, each)
		}
		return cut
	}
	longest := 0
	for _, servers := range ports {
		longest = max(longest, len(servers))
	}
	each := sort.Search(longest, func(n int) bool { // the least number with which one more does not fit
		shorter := make([][]haproxy.Server, len(ports))
		for i, servers := range ports {
			shorter[i] = servers[:min(len(servers), n+1)]
		}
		return !fits(shorter)
	})
	return cutTo(each)
}

func countServers(ports [][]haproxy.Server) (n int) {
	for _, servers := range ports {
		n += len(servers)
	}
	return n
}

// What a server adds to a reload, which is about twice what "haproxy -c" needs: podgate
// runs that before a reload. The figures are rounded up from measurements on HAProxy 2.6
// to 3.4, which differ by less than a fifth; only a ca-file with all CAs of the system
// takes longer, up to three times on 2.6. They are the same on every edge node, and do
// not depend on its load: all edge nodes must serve the same servers.
const (
	serverTime    = 20 * time.Microsecond
	tlsServerTime = 300 * time.Microsecond
)

// weight is what limits per namespace count of the servers of its Services.
type weight struct {
	servers int
	reload  time.Duration // that they add to a reload
}

func (w weight) add(o weight) weight { return weight{w.servers + o.servers, w.reload + o.reload} }
func (w weight) sub(o weight) weight { return weight{w.servers - o.servers, w.reload - o.reload} }
func (w weight) exceeds(most weight) bool {
	return w.servers > most.servers || w.reload > most.reload
}

// weight returns that of the first n servers of a claim.
func (c *claim) weight(n int) weight {
	if c.backend.Options.UsesTLS() {
		return weight{n, time.Duration(n) * tlsServerTime}
	}
	return weight{n, time.Duration(n) * serverTime}
}

// weight returns that of servers of the claims of s.
func (s *service) weight(ports [][]haproxy.Server) (w weight) {
	for claim, servers := range ports {
		w = w.add(s.claims.ports[claim].weight(len(servers)))
	}
	return w
}

// limitTotal cuts the servers of a Service to safety.max_service_servers.
func (s *service) limitTotal(in *input) {
	most := in.Safety.MaxServiceServers
	if countServers(s.servers) <= most {
		return
	}
	s.servers = cutPorts(s.servers, func(ports [][]haproxy.Server) bool { return countServers(ports) <= most })
	s.reportCut("its ports have more servers than safety.max_service_servers in podgate.toml, %d", most)
}

// reportCut reports that not all servers are served. The text does not contain their
// number: a Problem with another text would be logged again.
func (s *service) reportCut(why string, most any) {
	s.problems = append(s.problems, Problem{Kind: NotGranted, Service: s.object.Key, Text: "some of its endpoints are not served: " + fmt.Sprintf(why, most)})
}

// rendered are the servers of the ports of a Service that have a backend; nil for another
// port.
func (r *Result) rendered(service int) [][]haproxy.Server {
	servers := slices.Clone(r.services.At(service).servers)
	for claim := range servers {
		if r.merged.backendOf(claimID{service, claim}) < 0 {
			servers[claim] = nil
		}
	}
	return servers
}

// limitNamespaces cuts the servers of the youngest Services of each namespace that has
// more than safety.max_servers, or whose servers exceed safety.max_reload_time.
func (r *Result) limitNamespaces() {
	r.totals, r.cut = map[string]weight{}, nil
	for _, p := range r.merged.backends {
		s := r.services.At(p.service)
		r.totals[s.object.Namespace] = r.totals[s.object.Namespace].add(s.claims.ports[p.claim].weight(len(s.servers[p.claim])))
	}
	most := weight{r.input.Safety.MaxServers, r.input.Safety.MaxReloadTime}
	over := map[string]bool{}
	for namespace, total := range r.totals {
		if total.exceeds(most) {
			over[namespace] = true
		}
	}
	if len(over) == 0 {
		return
	}
	r.cut = map[int]*service{}
	used := map[string]weight{}
	for _, i := range byAge(slices.Collect(r.allServices)) {
		s := r.services.At(i)
		if !over[s.object.Namespace] {
			continue
		}
		left := most.sub(used[s.object.Namespace])
		servers := r.rendered(i)
		if w := s.weight(servers); w.exceeds(left) {
			cut := *s
			cut.problems = slices.Clip(s.problems)
			cut.servers = cutPorts(servers, func(ports [][]haproxy.Server) bool { return !s.weight(ports).exceeds(left) })
			if w.servers > left.servers {
				cut.reportCut("its namespace has more servers than safety.max_servers in podgate.toml, %d", most.servers)
			}
			if w.reload > left.reload {
				cut.reportCut("the servers of its namespace add more to a reload of HAProxy than safety.max_reload_time in podgate.toml, %s", most.reload)
			}
			r.cut[i], servers = &cut, cut.servers
		}
		used[s.object.Namespace] = used[s.object.Namespace].add(s.weight(servers))
	}
}

func (r *Result) allServices(yield func(*service) bool) {
	for _, s := range r.services.All() {
		if !yield(s) {
			return
		}
	}
}

// served returns a Service with the servers that are served.
func (r *Result) served(service int) *service {
	if s, ok := r.cut[service]; ok {
		return s
	}
	return r.services.At(service)
}

// withinLimits updates totals for changed Services. It reports false if a namespace may be
// over a limit of limitNamespaces, before or now: that function decides then.
func (r *Result) withinLimits(before *Result, changed map[int]*service) bool {
	if len(before.cut) > 0 {
		return false
	}
	most := weight{r.input.Safety.MaxServers, r.input.Safety.MaxReloadTime}
	r.totals = maps.Clone(before.totals)
	for i, s := range changed {
		old := before.services.At(i)
		total := r.totals[s.object.Namespace].add(s.weight(r.rendered(i))).sub(old.weight(before.rendered(i)))
		if r.totals[s.object.Namespace] = total; total.exceeds(most) {
			return false
		}
	}
	return true
}

// size is about how many bytes a claim has in HAProxy's configuration and maps, without
// its servers.
func (c *claim) size() (n int) {
	const section, line = 512, 32
	b := &c.backend
	n = section + 2*len(b.Name) + len(b.Policy.AllowSource) + len(b.Policy.CheckPath) + len(b.Policy.CookieKey) + len(b.Options.CAFile) + len(b.Options.ServerName)
	for _, r := range c.routes {
		n += line + len(r.Host) + len(r.Path) + len(r.Rewrite) + len(b.Name)
	}
	return n
}
