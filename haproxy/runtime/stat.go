// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
)

// The types of rows that "show stat" can be limited to (management.txt "show stat").
// They can be added up.
const (
	statFrontend = 1
	statBackend  = 2
	statServer   = 4
)

// showStat returns the command for the rows of some types, of one proxy or anyProxy.
func showStat(proxy string, types int) string { return fmt.Sprintf("show stat %s %d -1", proxy, types) }

// anyProxy selects all proxies.
const anyProxy = "-1"

// readStat sends "show stat" commands and calls each with the given columns of every
// row of their replies. A column that this version of HAProxy does not have is nil. The
// values are valid until each returns. A proxy that HAProxy does not have has no rows.
func readStat(ctx context.Context, ask asker, commands, columns []string, each func(row [][]byte) error) error {
	var r statReader
	present := -1
	return ask(ctx, commands, func(command int, line []byte) error {
		if command != present {
			present, r = command, statReader{columns: columns}
		}
		isRow, err := r.next(line)
		if err == nil && isRow {
			err = each(r.row)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", commands[command], err)
		}
		return nil
	})
}

// statReader parses the CSV of "show stat" line by line: the names of the columns,
// which depend on the version, then the rows.
type statReader struct {
	columns []string // columns to read
	at      []int    // index of each column in a row; -1 if HAProxy does not have it
	row     [][]byte // the columns of the last line
	width   int      // number of fields to read of a row
}

// next parses a line, and reports whether it is a row.
func (r *statReader) next(line []byte) (bool, error) {
	if r.at == nil {
		if bytes.HasPrefix(line, []byte("No such proxy")) {
			return false, nil
		}
		names, ok := bytes.CutPrefix(line, []byte("# "))
		if !ok {
			return false, fmt.Errorf("got %q, want the names of columns", line)
		}
		r.readNames(names)
		return false, nil
	}
	rest := line
	for i := range r.width {
		field, others, ok := cutField(rest)
		if !ok {
			return false, fmt.Errorf("got a row of %d columns, want %d: %q", i, r.width, line)
		}
		if column := slices.Index(r.at, i); column >= 0 {
			r.row[column] = field
		}
		rest = others
	}
	return true, nil
}

func (r *statReader) readNames(line []byte) {
	r.at, r.row = make([]int, len(r.columns)), make([][]byte, len(r.columns))
	for i := range r.at {
		r.at[i] = -1
	}
	for i, name := range bytes.Split(line, []byte(",")) {
		if column := slices.Index(r.columns, string(name)); column >= 0 {
			r.at[column], r.width = i, i+1
		}
	}
}

// cutField returns the first field of a line of CSV, without quotes, and the rest. It
// returns false at the end of the line.
func cutField(line []byte) (field, rest []byte, ok bool) {
	if len(line) == 0 {
		return nil, nil, false
	}
	if line[0] != '"' {
		field, rest, _ = bytes.Cut(line, []byte(","))
		return field, rest, true
	}
	end := 1
	for end < len(line) && line[end] != '"' || end+1 < len(line) && line[end+1] == '"' {
		if line[end] == '"' {
			end++ // two quotes mean one
		}
		end++
	}
	field = bytes.ReplaceAll(line[1:min(end, len(line))], []byte(`""`), []byte(`"`))
	return field, bytes.TrimPrefix(line[min(end+1, len(line)):], []byte(",")), true
}

// statNumber parses a number that every row must have.
func statNumber(column string, value []byte) (int, error) {
	n, err := strconv.Atoi(string(value))
	if err != nil {
		return 0, fmt.Errorf("%s is %q, want a number", column, value)
	}
	return n, nil
}
