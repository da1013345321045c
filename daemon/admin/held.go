// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"fmt"
	"time"

	"podgate/haproxy"
)

// Held is a removal that podgate keeps back.
type Held struct {
	Since time.Time    `json:"since"`
	Until time.Time    `json:"until"` // when the cluster is listed again, and decides
	Loss  haproxy.Loss `json:"loss"`

	Servers map[string]int `json:"-"` // that are kept, by backend; nil where that is not known
}

// servers is how many servers of a backend are kept.
func (h *Held) servers(backend string) int {
	if h == nil {
		return 0
	}
	return h.Servers[backend]
}

// String is "60 of 100 servers and 3 of 5 backends since 2026-01-02T03:04:05Z".
func (h Held) String() string {
	return fmt.Sprintf("%s since %s", h.Loss, h.Since.UTC().Format(time.RFC3339))
}

// Prospect says what becomes of it, with "podgate confirm" and without.
func (h Held) Prospect() string {
	return fmt.Sprintf("they are served as before, and go if the cluster still lacks them when it is listed after %s; podgate confirm lets them go now",
		h.Until.UTC().Format(time.RFC3339))
}
