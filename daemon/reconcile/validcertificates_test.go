// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"testing"
	"time"

	"podgate/haproxy"
)

// TestARejectedCertificateIsRetried rejects a certificate by haproxy -c, and another one
// by the process.
func TestARejectedCertificateIsRetried(t *testing.T) {
	v := validated{good: map[string]bool{}, bad: map[string]string{}}
	now := time.Now()
	v.reject("invalid", "no")
	v.rejectForNow(now, "busy", "no")
	for _, step := range []struct {
		after         time.Duration
		invalid, busy bool
	}{
		{retryPause / 2, true, true},
		{retryPause + time.Second, true, false},
		{retryPause + 2*time.Second, true, true}, // rejected again, for twice as long
		{3*retryPause + time.Second, true, true},
		{3*retryPause + 3*time.Second, true, false},
	} {
		if step.after == retryPause+2*time.Second {
			v.rejectForNow(now.Add(step.after), "busy", "no")
		}
		v.forgive(now.Add(step.after))
		for digest, want := range map[string]bool{"invalid": step.invalid, "busy": step.busy} {
			if got := v.isBad(haproxy.Certificate{Digest: digest}); got != want {
				t.Errorf("after %s: %s is bad: %t, want %t", step.after, digest, got, want)
			}
		}
	}
}
