// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// frontendStat asks for the counters of all frontends (management.txt "show
// stat": any proxy, type 1, any server).
const frontendStat = "show stat -1 1 -1"

// FrontendSessions returns how many sessions the frontends of ours hold now, idle ones
// of clients among them, in the worker that serves and in those that a reload
// retired. Frontends that tell load balancers of the node do not count.
func (c *Client) FrontendSessions(ctx context.Context) (int, error) {
	replies, err := c.exchange(ctx, frontendStat)
	if err != nil {
		return 0, fmt.Errorf("observe HAProxy: %w", err)
	}
	total, err := sessions(replies[0])
	if err != nil {
		return 0, fmt.Errorf("observe HAProxy: %w", err)
	}
	for _, pid := range c.retired(ctx) {
		retired := c.worker.master
		retired.prefix = fmt.Sprintf("@!%d ", pid)
		replies, err := collect(ctx, retired.exchange, []string{frontendStat})
		if err != nil {
			continue // it has ended meanwhile
		}
		n, err := sessions(replies[0])
		if err != nil {
			continue
		}
		total += n
	}
	return total, nil
}

// sessions adds up scur of our frontends in a reply of "show stat".
func sessions(reply string) (int, error) {
	const (
		columnName = 0
		columnScur = 4
	)
	total := 0
	for line := range strings.Lines(reply) {
		row := strings.Split(strings.TrimSpace(line), ",")
		if strings.HasPrefix(line, "#") || len(row) <= columnScur || !strings.HasPrefix(row[columnName], "podgate_") {
			continue
		}
		if strings.HasPrefix(row[columnName], "podgate_health") {
			continue
		}
		n, err := strconv.Atoi(row[columnScur])
		if err != nil {
			return 0, fmt.Errorf("show stat: %s has %q sessions", row[columnName], row[columnScur])
		}
		total += n
	}
	return total, nil
}

// retired are the workers that a reload retired and that still live
// (management.txt "show proc"). It is empty where the master does not answer.
func (c *Client) retired(ctx context.Context) []int {
	master := c.master
	master.patience = 0
	reply, err := master.ask(ctx, "show proc;quit\n")
	if err != nil {
		return nil
	}
	_, old, _ := strings.Cut(reply, "# old workers")
	old, _, _ = strings.Cut(old, "# programs")
	var pids []int
	for line := range strings.Lines(old) {
		row := strings.Fields(line)
		if len(row) < 2 || row[1] != "worker" {
			continue
		}
		if pid, err := strconv.Atoi(row[0]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
