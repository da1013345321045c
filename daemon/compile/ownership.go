// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"slices"

	"podgate/haproxy"
)

// claimHost reports whether a claim may have routes for a host. A host, in plain HTTP
// and in TLS, belongs to the namespace that claims it first, and so do the hosts of a
// wildcard, except those that another namespace has claimed before. A grant that names
// the namespace lets it share the host.
func (m *merger) claimHost(at claimID, host haproxy.HostPattern) bool {
	if host == "" {
		return true
	}
	has, taken := m.hosts[host]
	if !taken {
		if has, taken = m.hosts[host.Wildcard()]; !taken || m.sameNamespace(at, has) || m.mayShare(at, host) {
			m.hosts[host] = at
			return true
		}
	}
	if m.sameNamespace(at, has) || m.mayShare(at, host) {
		return true
	}
	namespace, owner := m.namespace(at), m.namespace(has)
	what := subject{text: "host " + string(host), host: string(host)}
	why := m.why(at, has)
	m.report(Conflict, at, m.claim(at).from, what, "belongs to namespace %s, whose Service %s %s (a grant of podgate.toml can share it with namespace %s)",
		owner, m.servicePort(has), why, namespace)
	m.addConflict(at, has, what, why)
	return false
}

// mayShare reports whether podgate.toml lets a claim have routes for a host of another
// namespace.
func (m *merger) mayShare(at claimID, host haproxy.HostPattern) bool {
	return !m.in.HoldsHosts() || m.in.SharesHost(m.namespace(at), host)
}

func (m *merger) namespace(at claimID) string { return m.services[at.service].object.Namespace }

func (m *merger) sameNamespace(a, b claimID) bool { return m.namespace(a) == m.namespace(b) }

// heldHosts returns the hosts that belong to namespaces, sorted.
func (m *merger) heldHosts() []haproxy.HeldHost {
	if !m.in.HoldsHosts() {
		return nil
	}
	var held []haproxy.HeldHost
	for host, at := range m.hosts {
		held = append(held, haproxy.HeldHost{Host: host, Namespace: m.namespace(at), EveryPath: m.in.GrantsPaths()})
	}
	slices.SortFunc(held, func(a, b haproxy.HeldHost) int { return cmp.Compare(a.Host, b.Host) })
	return held
}
