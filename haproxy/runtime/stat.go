// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ServerStat is how HAProxy judges one server (management.txt "show stat").
type ServerStat struct {
	Name   string // "10.2.9.103:8080"
	Status string // "UP", "DOWN", "UP 1/3", "MAINT", "DRAIN", "no check", ...
	// Check is what the last health check came to: "L7OK", "L4CON", ...; "" without one.
	Check       string
	CheckCode   string // of an HTTP check; ""
	CheckInfo   string // "Connection refused"; ""
	Sessions    int    // connections and requests that it has now
	SinceChange time.Duration
	Weight      int
}

// Up reports whether HAProxy sends it new clients.
func (s ServerStat) Up() bool { return strings.HasPrefix(s.Status, "UP") || s.Status == "no check" }

// ServerStats returns how HAProxy judges the servers of a backend, in HAProxy's
// order. It is nil where HAProxy has no such backend. It may be called
// concurrently.
func (x exchanger) ServerStats(ctx context.Context, backend string) ([]ServerStat, error) {
	if err := checkWord("backend", backend); err != nil {
		return nil, err
	}
	const servers = 4
	command := fmt.Sprintf("show stat %s %d -1", backend, servers)
	replies, err := x.exchange(ctx, command)
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	if !strings.HasPrefix(replies[0], "# ") {
		return nil, nil // "No such proxy."
	}
	table, err := parseTable(replies[0])
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %s: %w", command, err)
	}
	stats := []ServerStat{}
	for _, row := range table.rows {
		stats = append(stats, ServerStat{
			Name:        table.text(row, "svname"),
			Status:      table.text(row, "status"),
			Check:       strings.TrimPrefix(table.text(row, "check_status"), "* "), // a check is under way
			CheckCode:   table.text(row, "check_code"),
			CheckInfo:   table.text(row, "last_chk"),
			Sessions:    table.number(row, "scur"),
			SinceChange: time.Duration(table.number(row, "lastchg")) * time.Second,
			Weight:      table.number(row, "weight"),
		})
	}
	return stats, nil
}

// table is a reply of "show stat": a header and rows of the same order, which
// grows at its end from version to version.
type table struct {
	columns map[string]int
	rows    [][]string
}

func parseTable(reply string) (table, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(reply, "# ")))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		return table{}, fmt.Errorf("HAProxy answered %q", firstLine(reply))
	}
	t := table{columns: make(map[string]int, len(rows[0])), rows: rows[1:]}
	for i, name := range rows[0] {
		t.columns[name] = i
	}
	return t, nil
}

// text is "" where a version does not have the column.
func (t table) text(row []string, column string) string {
	i, ok := t.columns[column]
	if !ok || i >= len(row) {
		return ""
	}
	return row[i]
}

func (t table) number(row []string, column string) int {
	n, _ := strconv.Atoi(t.text(row, column))
	return n
}

// The columns of a backend's row that are read, the same since 1.4.
const (
	statBackend = 0
	statStatus  = 17
	statActive  = 19
	statColumns = 21
)

// Up returns how many servers of each backend are up and take new clients, of
// all backends, those of others among them (management.txt "show stat").
func (x exchanger) Up(ctx context.Context) (map[string]int, error) {
	const command = "show stat -1 2 -1"
	up, err := ask(ctx, x, func(ask asker) (map[string]int, error) {
		up := map[string]int{}
		err := ask(ctx, []string{command}, func(_ int, line []byte) error { return readUp(line, up) })
		return up, err
	})
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %s: %w", command, err)
	}
	return up, nil
}

// readUp reads one line of "show stat" of backends: of many it is megabytes. No
// column that is read, and none before it, is text that could hold a comma.
func readUp(line []byte, up map[string]int) error {
	if line[0] == '#' {
		return nil
	}
	var backend, active []byte
	rest := line
	for i := range statColumns - 1 {
		column, behind, ok := bytes.Cut(rest, []byte(","))
		if !ok {
			return fmt.Errorf("a row of %d columns: %q", i+1, bytes.TrimSpace(line))
		}
		switch i {
		case statBackend:
			backend = column
		case statActive:
			active = column
		}
		rest = behind
	}
	n, err := strconv.Atoi(string(active))
	if err != nil {
		return fmt.Errorf("act %q is not a number", active)
	}
	up[string(backend)] = n
	return nil
}

// backendRows are the first statColumns columns of each row of "show stat" of
// backends, and the rest. None of these is text that could hold a comma.
func backendRows(reply string) (rows [][]string, err error) {
	for line := range strings.Lines(reply) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.SplitN(line, ",", statColumns)
		if len(row) < statColumns {
			return nil, fmt.Errorf("a row of %d columns: %q", len(row), strings.TrimSpace(line))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// RetiredWorkers returns how many workers of earlier configurations still have
// connections, 0 where the master does not say (management.txt "show proc").
func (c *Client) RetiredWorkers(ctx context.Context) int { return len(c.retired(ctx)) }
