// SPDX-License-Identifier: Apache-2.0

package reconcile

import "time"

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// backoff says when to try again what did not work, each time after twice as
// long. The zero backoff has nothing to try.
type backoff struct {
	at   time.Time // zero when there is nothing to try again
	wait time.Duration
}

func (b *backoff) later() {
	b.wait = min(max(2*b.wait, firstRetry), lastRetry)
	b.at = time.Now().Add(b.wait)
}

func (b *backoff) reset() { *b = backoff{} }
