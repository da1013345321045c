// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"time"
)

// TryAdminSocket makes the next call try an admin socket that did not answer, without
// the usual pause.
func (c *Client) TryAdminSocket() {
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	c.worker.tryAt = time.Time{}
}

// ParseStickTablesSynced is stickTablesSynced.
func ParseStickTablesSynced(reply string) bool { return stickTablesSynced(reply) }

// AwaitStop is awaitStop.
func (c *Client) AwaitStop(ctx context.Context, before Process) bool { return c.awaitStop(ctx, before) }
