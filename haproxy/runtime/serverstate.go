// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"podgate/haproxy"
)

// stateRows parses "show servers state" line by line, because the reply for 100,000
// servers has more than ten megabytes. The zero value is ready for the first line.
type stateRows struct {
	began bool // the version was read
	row   stateRow
	line  []byte                // of row
	ends  [columnUseTLS + 1]int // where in line each column of row ends
}

// stateRow is the columns of one row. They are valid until the next line is read.
type stateRow [columnUseTLS + 1][]byte

// next parses a line, and reports whether it is the row of a server.
func (r *stateRows) next(line []byte) (bool, error) {
	line = bytes.TrimSpace(line)
	if !r.began {
		if r.began = string(line) == "1"; !r.began {
			return false, fmt.Errorf("got %q, want version 1 of the format", line)
		}
		return false, nil
	}
	if len(line) == 0 || line[0] == '#' {
		return false, nil
	}
	r.line = line
	rest := line
	for i := range r.row {
		if len(rest) == 0 {
			return false, fmt.Errorf("got a row of %d columns, want %d: %q", i, len(r.row), line)
		}
		end := bytes.IndexByte(rest, ' ')
		if end < 0 {
			end = len(rest)
		}
		r.ends[i] = len(line) - len(rest) + end
		r.row[i], rest = rest[:end], bytes.TrimLeft(rest[end:], " ")
	}
	return true, nil
}

// after returns the rest of the line after a column of the row.
func (r *stateRows) after(column int) []byte {
	return bytes.TrimLeft(r.line[r.ends[column]:], " ")
}

// end returns an error if nothing was read.
func (r *stateRows) end() error {
	if !r.began {
		return errors.New("got an empty reply, want version 1 of the format")
	}
	return nil
}

// state is the administrative state of the row's server.
func (r *stateRow) state() (haproxy.ServerState, error) {
	admin, err := strconv.ParseUint(string(r[columnAdminState]), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("srv_admin_state is %q, want a number", r[columnAdminState])
	}
	return serverState(admin), nil
}

// hasAddr reports whether the server has the address want, which is also its name.
func (r *stateRow) hasAddr(want netip.AddrPort) bool {
	name := r[columnServer]
	if i := bytes.LastIndexByte(name, ':'); i >= 0 && bytes.Equal(name[:i], r[columnAddr]) && bytes.Equal(name[i+1:], r[columnPort]) {
		return true
	}
	addr, err := netip.ParseAddr(string(r[columnAddr]))
	if err != nil {
		return false
	}
	port, err := strconv.ParseUint(string(r[columnPort]), 10, 16)
	return err == nil && netip.AddrPortFrom(addr, uint16(port)) == want
}

// eachLine calls each with every line of a reply.
func eachLine(reply string, each func(command int, line []byte) error) error {
	for line := range bytes.Lines([]byte(reply)) {
		if err := each(0, line); err != nil {
			return err
		}
	}
	return nil
}
