// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"podgate/daemon/history"
	"podgate/haproxy"
)

// A thousand certificates that expire together do not displace all other changes in the
// history.
func TestHistoryNamesAFewExpiringCertificates(t *testing.T) {
	var chosen []haproxy.Certificate
	for i := range 1000 {
		chosen = append(chosen, haproxy.Certificate{Source: fmt.Sprintf("/c/%04d.pem", i), NotAfter: time.Now().Add(time.Hour)})
	}
	var u inUse
	h := history.New(nil)
	u.set(chosen, h, slog.New(slog.DiscardHandler))
	changes := h.Changes()
	if len(changes) != 21 || changes[20].What != "980 more certificates expire soon" {
		t.Errorf("%d changes, the last %+v", len(changes), changes[len(changes)-1])
	}
	u.set(chosen, h, slog.New(slog.DiscardHandler))
	if n := len(h.Changes()); n != 21 {
		t.Errorf("%d changes after the same certificates again", n)
	}
}
