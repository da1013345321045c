// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"fmt"
	"net/netip"
)

// Stats is what a frontend shows of HAProxy's own statistics.
type Stats struct {
	Sources []netip.Prefix // which may connect; empty for every address
	Metrics bool           // at /metrics for Prometheus, too
}

// describe is " stats", and the fields that are set.
func (s *Stats) describe() string {
	text := " stats"
	if s.Metrics {
		text += " metrics"
	}
	if len(s.Sources) > 0 {
		text += fmt.Sprintf(" sources=%s", s.Sources)
	}
	return text
}
