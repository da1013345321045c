// SPDX-License-Identifier: Apache-2.0

// Package guard holds a removal that is too large to be applied immediately, until
// the cluster was listed again or an operator confirms it. It knows neither the
// cluster nor HAProxy.
package guard

import (
	"fmt"
	"time"

	"podgate/haproxy"
)

// Removal describes the removal that is held.
type Removal struct {
	Since time.Time    `json:"since"`
	Until time.Time    `json:"until"` // when the cluster is listed again, which decides on the removal
	Loss  haproxy.Loss `json:"loss"`

	Servers map[string]int `json:"-"` // by backend: how many servers are held; nil if that is not known
}

// ServersOf returns how many servers of a backend serve although the cluster no longer
// has them; zero if r is nil.
func (r *Removal) ServersOf(backend string) int {
	if r == nil {
		return 0
	}
	return r.Servers[backend]
}

// String is "60 of 100 servers and 3 of 5 backends since 2026-01-02T03:04:05Z".
func (r Removal) String() string {
	return fmt.Sprintf("%s since %s", r.Loss, r.Since.UTC().Format(time.RFC3339))
}

// Outlook describes what happens to the servers with and without "podgate confirm".
func (r Removal) Outlook() string {
	return fmt.Sprintf("they are served until %s at least, and removed if the next list of the cluster still lacks them; podgate confirm removes them now",
		r.Until.UTC().Format(time.RFC3339))
}

// Status is one line for "systemctl status".
func (r Removal) Status() string {
	return fmt.Sprintf("holds the removal of %s until %s, see podgate confirm", r.Loss, r.Until.Format(time.TimeOnly))
}
