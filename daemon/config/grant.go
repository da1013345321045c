// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"

	"podgate/haproxy"
)

// Grant reserves hosts, paths, ports and annotations for the Services of one
// namespace, or of all. If any Grant lists hosts, a Service can claim only hosts
// that are granted to its namespace, and so on for each list.
type Grant struct {
	Namespace   string                // "*" for all
	Hosts       []haproxy.HostPattern // "*.example.com" grants every name below it, and that wildcard
	Paths       []haproxy.PathPrefix  // for Services without a host
	TCPPorts    []PortRange           // sorted
	Annotations []string              // without prefix and port suffix
}

// holds reports whether the Grant applies to a namespace.
func (g Grant) holds(namespace string) bool {
	return g.Namespace == namespace || g.Namespace == allNamespaces
}

// granted reports whether a namespace can claim what has finds in one list of the
// grants.
func granted[T any](grants []Grant, namespace string, list func(Grant) []T, has func(T) bool) bool {
	any := false
	for _, g := range grants {
		any = any || len(list(g)) > 0
		if g.holds(namespace) && slices.ContainsFunc(list(g), has) {
			return true
		}
	}
	return !any
}

// GrantsHost reports whether Services of a namespace may claim a host.
func (c *Config) GrantsHost(namespace string, host haproxy.HostPattern) bool {
	return granted(c.Grants, namespace, func(g Grant) []haproxy.HostPattern { return g.Hosts }, func(pattern haproxy.HostPattern) bool { return covers(pattern, host) })
}

// HoldsHosts reports whether a host belongs to the namespace that claims it first.
func (c *Config) HoldsHosts() bool {
	n := c.Kubernetes.Namespaces
	return c.Safety.HostOwnership == OwnedByNamespace && (len(n) > 1 || slices.Contains(n, allNamespaces))
}

// SharesHost reports whether a Grant that names the namespace lists a host, which
// another namespace may hold.
func (c *Config) SharesHost(namespace string, host haproxy.HostPattern) bool {
	return slices.ContainsFunc(c.Grants, func(g Grant) bool {
		return g.Namespace == namespace && slices.ContainsFunc(g.Hosts, func(p haproxy.HostPattern) bool { return covers(p, host) })
	})
}

// GrantsPaths reports whether any Grant lists paths.
func (c *Config) GrantsPaths() bool {
	return slices.ContainsFunc(c.Grants, func(g Grant) bool { return len(g.Paths) > 0 })
}

// covers reports whether a pattern of a Grant lists a host.
func covers(pattern, host haproxy.HostPattern) bool {
	below, wildcard := strings.CutPrefix(string(pattern), "*")
	return host == pattern || wildcard && strings.HasSuffix(string(host), below)
}

// GrantsPath reports whether Services of a namespace may claim a path prefix under
// any host.
func (c *Config) GrantsPath(namespace string, path haproxy.PathPrefix) bool {
	return granted(c.Grants, namespace, func(g Grant) []haproxy.PathPrefix { return g.Paths }, func(p haproxy.PathPrefix) bool { return p.Matches(string(path)) })
}

// GrantsTCPPort reports whether Services of a namespace may claim a port that
// tcp.allowed_ports allows.
func (c *Config) GrantsTCPPort(namespace string, port uint16) bool {
	return granted(c.Grants, namespace, func(g Grant) []PortRange { return g.TCPPorts }, func(r PortRange) bool { return r.Contains(port) })
}

// GrantsAnnotation reports whether Services of a namespace may carry an
// annotation of that name.
func (c *Config) GrantsAnnotation(namespace, name string) bool {
	return granted(c.Grants, namespace, func(g Grant) []string { return g.Annotations }, func(a string) bool { return a == name })
}

// AnnotationNames returns the annotations that a Grant can list: all except ignore.
func AnnotationNames() []string {
	return []string{
		"host", "path", "aclMatch", "rewrite", "sslTerm", "backend-protocol", "backend-verify", "cookie-sticky-session", "cookie-name",
		"algorithm", "backend-name", "tcp", "upstream", "check", "check-path", "check-interval", "timeout-server", "timeout-tunnel", "timeout-connect", "maxconn",
		"slowstart", "allow-source", "redirect-https", "hsts", "send-proxy", "passthrough", "tls-secret",
	}
}

func annotationName(s string) (string, error) { return s, checkChoice(s, AnnotationNames()) }

func pathPrefix(s string) (haproxy.PathPrefix, error) {
	p, err := haproxy.ParsePathPrefix(s)
	if err != nil {
		err = fmt.Errorf("%q is not a path (%w)", s, err)
	}
	return p, err
}

// finishGrantedPorts is mergePorts, and rejects an empty list.
func finishGrantedPorts(v value, at []value, ranges []PortRange) []PortRange {
	if entries, _ := v.entries(); len(entries) == 0 {
		v.reject("is empty")
	}
	return mergePorts(v, at, ranges)
}

func printPath(p haproxy.PathPrefix) string { return quote(string(p) + "/") }
