// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"net"
	"net/http"
	"time"

	"podgate/kubeapi/wire"
)

// SetTimeouts shortens how long a test waits for a server that hangs.
func (c *Client) SetTimeouts(page, answer time.Duration) {
	c.timeouts.page, c.timeouts.answer, c.timeouts.initial = page, answer, answer
}

// SetWatchTimeout shortens watches, to two seconds at least: the server does not
// accept less.
func (c *Client) SetWatchTimeout(d time.Duration) { c.timeouts.watch = d }

// SetEventTimeout shortens how long a test waits for a watch that stalls.
func (c *Client) SetEventTimeout(d time.Duration) {
	c.timeouts.initial, c.timeouts.event = d, d
}

// SetRefresh shortens the time from one re-read of the credentials to the next.
func (c *Client) SetRefresh(d time.Duration) { c.timeouts.refresh = d }

// SetTooLarge shortens the pause after an answer that was too large.
func (c *Client) SetTooLarge(d time.Duration) { c.timeouts.tooLarge = d }

// SetPings shortens how long a test waits for a connection that is dead.
func (c *Client) SetPings(every, timeout time.Duration) {
	c.credentials.Transport().HTTP2 = &http.HTTP2Config{SendPingTimeout: every, PingTimeout: timeout}
}

// SetDial makes connections in a test's own way.
func (c *Client) SetDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	c.credentials.Transport().DialContext = dial
}

// Store is a store for benchmarks.
type Store struct{ s *store }

// NewStore returns an empty Store.
func NewStore() Store { return Store{newStore()} }

// Put adds or replaces an object.
func (s Store) Put(o wire.Object) bool { return s.s.put(o) }

// Replace makes l all objects of a resource.
func (s Store) Replace(r wire.Resource, l *wire.List) { s.s.replace(source{resource: r}, l) }

// Snapshot returns the present state.
func (s Store) Snapshot() *Snapshot { return s.s.snapshot(1) }
