// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

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

// cutPorts cuts the servers of all ports of a Service together to most: the same number
// for each port that has more.
func cutPorts(ports [][]haproxy.Server, most int) [][]haproxy.Server {
	sizes := make([]int, len(ports))
	for i, servers := range ports {
		sizes[i] = len(servers)
	}
	slices.Sort(sizes)
	each, left := 0, most
	for i, size := range sizes {
		each = left / (len(sizes) - i)
		if size > each {
			break
		}
		left -= size
	}
	cut := make([][]haproxy.Server, len(ports))
	for i, servers := range ports {
		cut[i] = cutServers(servers, each)
	}
	return cut
}

func countServers(ports [][]haproxy.Server) (n int) {
	for _, servers := range ports {
		n += len(servers)
	}
	return n
}

// limitTotal cuts the servers of a Service to safety.max_service_servers.
func (s *service) limitTotal(in *input) {
	most := in.Safety.MaxServiceServers
	if countServers(s.servers) <= most {
		return
	}
	s.servers = cutPorts(s.servers, most)
	s.reportCut("its ports have more servers than safety.max_service_servers in podgate.toml, %d", most)
}

// reportCut reports that not all servers are served. The text does not contain their
// number: a Problem with another text would be logged again.
func (s *service) reportCut(why string, most int) {
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
// more than safety.max_servers.
func (r *Result) limitNamespaces() {
	r.totals, r.cut = map[string]int{}, nil
	for _, p := range r.merged.backends {
		s := r.services.At(p.service)
		r.totals[s.object.Namespace] += len(s.servers[p.claim])
	}
	most := r.input.Safety.MaxServers
	over := maps.Clone(r.totals)
	maps.DeleteFunc(over, func(_ string, n int) bool { return n <= most })
	if len(over) == 0 {
		return
	}
	r.cut = map[int]*service{}
	left := map[string]int{}
	for _, i := range byAge(slices.Collect(r.allServices)) {
		s := r.services.At(i)
		if over[s.object.Namespace] == 0 {
			continue
		}
		if _, known := left[s.object.Namespace]; !known {
			left[s.object.Namespace] = most
		}
		servers := r.rendered(i)
		if countServers(servers) > left[s.object.Namespace] {
			cut := *s
			cut.servers, cut.problems = cutPorts(servers, left[s.object.Namespace]), slices.Clip(s.problems)
			cut.reportCut("its namespace has more servers than safety.max_servers in podgate.toml, %d", most)
			r.cut[i], servers = &cut, cut.servers
		}
		left[s.object.Namespace] -= countServers(servers)
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
// over safety.max_servers, before or now: limitNamespaces decides then.
func (r *Result) withinLimits(before *Result, changed map[int]*service) bool {
	if len(before.cut) > 0 {
		return false
	}
	r.totals = maps.Clone(before.totals)
	for i, s := range changed {
		r.totals[s.object.Namespace] += countServers(r.rendered(i)) - countServers(before.rendered(i))
		if r.totals[s.object.Namespace] > r.input.Safety.MaxServers {
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
