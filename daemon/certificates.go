// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"
	"slices"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/history"
	"podgate/haproxy"
)

// inUse is the list of certificates that HAProxy serves, for operators.
type inUse struct {
	given        []haproxy.Certificate // the last argument of set
	shown        []haproxy.Certificate // the same certificates without keys
	certificates []admin.Certificate   // the same certificates by expiry, the earliest first
	expiring     map[string]bool       // the sources whose expiry was reported
}

// set records the certificates, and reports those that expire soon.
func (u *inUse) set(certificates []haproxy.Certificate, h *history.History, log *slog.Logger) {
	if !haproxy.Same(certificates, u.given) {
		u.given = certificates
		u.certificates, u.shown = make([]admin.Certificate, len(certificates)), slices.Clone(certificates)
		for i, c := range certificates {
			u.shown[i].PEM = nil
			u.certificates[i] = admin.Certificate{Source: c.Source, Names: c.Names, Expires: c.NotAfter}
		}
		slices.SortStableFunc(u.certificates, func(a, b admin.Certificate) int { return a.Expires.Compare(b.Expires) })
	}
	now := time.Now()
	expiring := map[string]bool{}
	var changes []*admin.Change
	for _, c := range u.certificates {
		if c.State(now) == admin.Valid {
			break // and so are those after it
		}
		expiring[c.Source] = true
		if !u.expiring[c.Source] {
			expires := c.Expires.UTC().Format(time.RFC3339)
			log.Warn("certificate expires soon", "file", c.Source, "expires", expires)
			changes = append(changes, history.Event("certificate expires soon", c.Source+" on "+expires))
		}
	}
	h.AddSome(changes, "%d more certificates expire soon")
	for source := range u.expiring {
		if !expiring[source] {
			log.Info("certificate is renewed, or no longer used", "file", source)
		}
	}
	u.expiring = expiring
}
