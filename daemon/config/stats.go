// SPDX-License-Identifier: Apache-2.0

package config

import "net/netip"

// Stats is where HAProxy serves its own statistics.
type Stats struct {
	Binds   []netip.AddrPort // key "bind"; empty for nowhere
	Sources []netip.Prefix   // sorted; empty for every address
	Metrics bool             // whether HAProxy's own Prometheus exporter is served, too
}

func (st *Stats) keys() []key {
	const s = "stats"
	return []key{
		{s, "bind", bindList(&st.Binds), immediately,
			"Addresses on which HAProxy serves its own statistics page, read-only and without TLS or passwords; empty for none."},
		{s, "sources", networkList(&st.Sources), immediately,
			"Networks from which HAProxy accepts connections to these addresses; empty for every address."},
		{s, "metrics", boolean(&st.Metrics), immediately,
			"Whether HAProxy's own Prometheus exporter is served at /metrics of these addresses. Set it to false if HAProxy was built without it."},
	}
}
