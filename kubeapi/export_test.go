// SPDX-License-Identifier: Apache-2.0

package kubeapi

import "time"

// SetTimeouts shortens how long a test waits for a server that hangs.
func (c *Client) SetTimeouts(page, answer time.Duration) {
	c.timeouts = timeouts{page: page, answer: answer}
}
