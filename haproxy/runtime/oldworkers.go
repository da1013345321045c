// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
)

// FrontendSessions returns the number of sessions of podgate's frontends, including
// idle ones, in the worker that serves and in the old workers. Frontends for health
// checks do not count.
func (c *Client) FrontendSessions(ctx context.Context) (int, error) {
	total, err := ask(ctx, c.exchanger, func(ask asker) (int, error) { return frontendSessions(ctx, ask) })
	if err != nil {
		return 0, fmt.Errorf("observe HAProxy: %w", err)
	}
	for _, pid := range c.oldWorkers(ctx) {
		worker := c.worker.master
		worker.prefix = fmt.Sprintf("@!%d ", pid)
		n, _ := frontendSessions(ctx, worker.exchange) // on an error it has just ended
		total += n
	}
	return total, nil
}

func frontendSessions(ctx context.Context, ask asker) (total int, err error) {
	err = readStat(ctx, ask, []string{showStat(anyProxy, statFrontend)}, []string{"pxname", "scur"}, func(row [][]byte) error {
		if name := row[0]; !bytes.HasPrefix(name, []byte("podgate_")) || bytes.HasPrefix(name, []byte("podgate_health")) {
			return nil
		}
		n, err := statNumber("scur", row[1])
		total += n
		return err
	})
	return total, err
}

// OldWorkers returns the number of old workers, which run until their last connection
// ends; 0 if the master does not answer (management.txt "show proc").
func (c *Client) OldWorkers(ctx context.Context) int { return len(c.oldWorkers(ctx)) }

// oldWorkers returns the process ids of the old workers.
func (c *Client) oldWorkers(ctx context.Context) []int {
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
