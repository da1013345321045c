// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ServerStat is the status of one server (management.txt "show stat").
type ServerStat struct {
	Name        string // "10.2.9.103:8080"
	Status      string // "UP", "DOWN", "UP 1/3", "MAINT", "DRAIN", "no check", ...
	Check       string // result of the last health check: "L7OK", "L4CON", ...; "" without checks
	CheckCode   string // status of an HTTP check; "" without a status
	CheckInfo   string // "Connection refused"; "" without further information
	Sessions    int    // current connections and requests
	SinceChange time.Duration
	Weight      int
}

// Up reports whether HAProxy sends new clients to the server.
func (s ServerStat) Up() bool { return strings.HasPrefix(s.Status, "UP") || s.Status == "no check" }

// serverStats is ServerStats for a backend by its name in HAProxy.
func (x exchanger) serverStats(ctx context.Context, backend string) ([]ServerStat, error) {
	if err := checkWord("backend", backend); err != nil {
		return nil, err
	}
	columns := []string{"svname", "status", "check_status", "check_code", "last_chk", "scur", "lastchg", "weight"}
	stats, err := ask(ctx, x, func(ask asker) (stats []ServerStat, err error) {
		err = readStat(ctx, ask, []string{showStat(backend, statBackend+statServer)}, columns, func(row [][]byte) error {
			text := func(column int) string { return string(row[column]) }
			number := func(column int) int { n, _ := strconv.Atoi(text(column)); return n } // some columns are empty
			if stats == nil {
				stats = []ServerStat{}
			}
			if text(0) == "BACKEND" {
				return nil
			}
			stats = append(stats, ServerStat{
				Name: text(0), Status: text(1),
				Check:     strings.TrimPrefix(text(2), "* "), // "* " means that a check is in progress
				CheckCode: text(3), CheckInfo: text(4),
				Sessions: number(5), SinceChange: time.Duration(number(6)) * time.Second, Weight: number(7),
			})
			return nil
		})
		return stats, err
	})
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	return stats, nil
}

// up is Up by the names of the backends in HAProxy.
func (x exchanger) up(ctx context.Context) (map[string]int, error) {
	up, err := ask(ctx, x, func(ask asker) (map[string]int, error) {
		up := map[string]int{}
		err := readStat(ctx, ask, []string{showStat(anyProxy, statBackend)}, []string{"pxname", "act"}, func(row [][]byte) (err error) {
			up[string(row[0])], err = statNumber("act", row[1])
			return err
		})
		return up, err
	})
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	return up, nil
}
