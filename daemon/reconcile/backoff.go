// SPDX-License-Identifier: Apache-2.0

package reconcile

import "time"

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// backoff is when to retry. It doubles its wait with each failure. The zero backoff has
// nothing to retry.
type backoff struct {
	at   time.Time // zero if there is nothing to retry
	wait time.Duration
}

func (b *backoff) later(now time.Time) {
	b.wait = min(max(2*b.wait, firstRetry), lastRetry)
	b.at = now.Add(b.wait)
}

func (b *backoff) reset() { *b = backoff{} }
