// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoffGrowsUpToTheLongest(t *testing.T) {
	b := backoff{longest: time.Second}
	for _, bound := range []time.Duration{200, 400, 800, 1000, 1000} {
		bound *= time.Millisecond
		if got := b.next(); got > bound || got < bound/2 {
			t.Errorf("pause %v, want %v to %v", got, bound/2, bound)
		}
	}
	b.reset()
	if got := b.next(); got > firstBackoff {
		t.Errorf("pause %v after a success, want at most %v", got, firstBackoff)
	}
	short := backoff{longest: time.Millisecond}
	if got := short.next(); got > time.Millisecond {
		t.Errorf("pause %v, want at most the longest", got)
	}
}

func TestPauseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		pause(t.Context(), time.Minute)
		if got := time.Since(began); got != time.Minute {
			t.Errorf("paused %v, want a minute", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		pause(ctx, time.Hour)
		if got := time.Since(began); got != time.Minute+time.Second {
			t.Errorf("paused until %v, want one second more", got)
		}
	})
}

func TestCompareVersions(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "1", -1},
		{"9", "10", -1},
		{"10", "9", 1},
		{"10", "10", 0},
		{"99999999999999999999", "100000000000000000000", -1},
	} {
		if got := compareVersions(tt.a, tt.b); got != tt.want {
			t.Errorf("compare %q with %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
