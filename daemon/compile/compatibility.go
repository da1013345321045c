// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"slices"
	"strconv"

	"podgate/haproxy"
)

// ancestorHSTS is the Strict-Transport-Security that service-loadbalancer sent, in
// seconds.
const ancestorHSTS = "15768000"

// ancestorRoutes returns the routes of an HTTP port as readRoutes does, but those of
// service-loadbalancer: a port with a host is also reached by its Service's name under
// every host, and aclMatch replaces this name, or with sslTerm only.
//
// Its template had "acl url path_beg /NAME" or, with aclMatch, "path_beg ACLMATCH",
// "acl host hdr(host) HOST", and "use_backend NAME if url or host".
func ancestorRoutes(r *annotationReader, sec secure) (routing, bool) {
	hosts, hostsFrom, ok := readHosts(r)
	named := []pathMatch{{path: servicePath(r)}}
	paths, defaultRewrite := named, haproxy.Rewrite("/")
	to := routing{from: hostsFrom, named: servicePath(r)}
	if a, given := r.annotations.forPort(keyACLMatch, r.port); given && !sec.sslTerm {
		r.report(Invalid, a, "has no effect without sslTerm")
	} else if given {
		acl := required(r, keyACLMatch, parseACLMatch)
		ok = ok && !acl.bad
		to.named, named, paths, defaultRewrite = "", nil, unique(acl.value), ""
		to.anyHostFrom = a
		to.from = cmp.Or(hostsFrom, a)
	}
	rewrite := optional(r, keyRewrite, parseRewrite).or(defaultRewrite)
	if !ok {
		return routing{}, false
	}
	add := func(host haproxy.HostPattern, paths []pathMatch) {
		for _, p := range paths {
			to.routes = append(to.routes, haproxy.Route{
				TLS: sec.sslTerm, Host: host, Path: p.path, FoldCase: p.foldCase, Rewrite: effective(rewrite, p),
			})
		}
	}
	for _, host := range hosts {
		add(host, []pathMatch{{}})
		add(host, named)
	}
	if granted := grantedPaths(r, to.anyHostFrom, paths); granted != nil {
		add("", granted)
	} else if hosts == nil {
		r.reportPort(NotGranted, to.from, "has no granted path; the port is not served")
		return routing{}, false
	}
	if n := len(to.routes); n > maxRoutes {
		r.reportPort(Invalid, to.from, "its hosts and paths make %d routes, more than %d; the port is not served", n, maxRoutes)
		return routing{}, false
	}
	return to, true
}

// likeAncestor reports whether a port has the routes of service-loadbalancer, which knows
// neither the annotation path nor passthrough.
func likeAncestor(r *annotationReader, sec secure) bool {
	_, path := r.annotations.forPort(keyPath, r.port)
	return r.in.Compatibility.ServiceLoadbalancer && !path && !sec.passthrough
}

// lacksHost reports whether a route is that of a Service's name below a host that another
// port has. service-loadbalancer led every request for the host to that port.
func (m *merger) lacksHost(at claimID, r haproxy.Route) bool {
	if c := m.claim(at); c.named == "" || r.Host == "" || r.Path != c.named {
		return false
	}
	has, taken := m.routes[haproxy.Route{TLS: r.TLS, Host: r.Host}]
	return !taken || has != at
}

// claimOrder returns the indexes of a Service's claims in the order in which they get what
// several claim: the order of the spec, or that of service-loadbalancer, by the names of
// the ports' rules.
func (m *merger) claimOrder(service int) []int {
	claims := m.services[service].claims.ports
	order := make([]int, len(claims))
	for i := range order {
		order[i] = i
	}
	if m.in.Compatibility.ServiceLoadbalancer {
		slices.SortStableFunc(order, func(a, b int) int {
			return cmp.Compare(ruleName(claims[a].port.Port), ruleName(claims[b].port.Port))
		})
	}
	return order
}

// ruleName is the name of a port's rule in service-loadbalancer without the Service's.
func ruleName(port uint16) string {
	if port == 80 {
		return ""
	}
	return strconv.Itoa(int(port))
}
