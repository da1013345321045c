// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// firstBackoff is the longest pause after a first failure.
	firstBackoff = 200 * time.Millisecond
	// watchBackoff is the longest pause with Config.Watch: an edge that applies changes
	// within milliseconds should not wait for seconds after an outage.
	watchBackoff = 1500 * time.Millisecond
)

// backoff spaces attempts out: each pause is at most double the last one's
// bound, never above longest, and up to half of it is random, so that several
// edges do not retry at the same time.
type backoff struct {
	longest time.Duration
	bound   time.Duration // of the last pause; zero after a success
}

func (b *backoff) reset() { b.bound = 0 }

// next returns the pause before the next attempt.
func (b *backoff) next() time.Duration {
	b.bound = min(max(2*b.bound, firstBackoff), b.longest)
	return jitter(b.bound, 2)
}

// jitter returns d less a random part of it, at most d/part.
func jitter(d time.Duration, part int64) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/part+1))
}

// stretch returns d plus a random part of it, at most half: several clients that a
// server asked to wait for d do not return at the same time.
func stretch(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)/2+1))
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
