// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"podgate/haproxy"
)

// A thousand certificates that expire at once do not push everything else out of
// the history.
func TestTheHistoryTellsOfAFewCertificatesThatExpire(t *testing.T) {
	var chosen []haproxy.Certificate
	for i := range 1000 {
		chosen = append(chosen, haproxy.Certificate{Source: fmt.Sprintf("/c/%04d.pem", i), NotAfter: time.Now().Add(time.Hour)})
	}
	var v view
	v.certified(chosen, slog.New(slog.DiscardHandler))
	changes := v.chronicle.changes
	if len(changes) != mostTold+1 || changes[mostTold].What != "980 more certificates expire soon" {
		t.Errorf("%d changes, the last %+v", len(changes), changes[len(changes)-1])
	}
	v.certified(chosen, slog.New(slog.DiscardHandler))
	if n := len(v.chronicle.changes); n != mostTold+1 {
		t.Errorf("%d changes once they are told", n)
	}
}
