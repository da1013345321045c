// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// StateFile returns the content of a "server-state-file" for a reload that loads want,
// so that servers which are down or drain are not up after the reload
// (configuration.txt "load-server-state-from-file"). It contains the present servers
// that are in want, with their present health, and the administrative state and use of
// TLS of want: HAProxy would use those of the row instead of those it is configured for. It
// omits servers that are in maint now, and servers whose health does not apply to want;
// these start as the configuration declares them. Servers of backends that are not in
// want are the operator's and keep their state. The servers of a backend in a spare, which
// spares has as State.SpareNames, get the own name of the backend, which it has in want.
//
// The content is valid for one reload, but HAProxy reads it whenever it starts. Replace
// it by rows of Standing afterwards.
func (x exchanger) StateFile(ctx context.Context, want haproxy.State, spares map[string]string) ([]byte, error) {
	file, err := ask(ctx, x, func(ask asker) ([]byte, error) {
		out := newStateFile(want)
		out.spares = spares
		err := ask(ctx, []string{showServers}, out.line)
		if err == nil {
			err = out.rows.end()
		}
		return out.text.Bytes(), err
	})
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %s: %w", showServers, err)
	}
	return file, nil
}

// stateFile makes a "server-state-file" of the rows of "show servers state".
type stateFile struct {
	want    haproxy.State
	spares  map[string]string
	rows    stateRows
	text    bytes.Buffer
	grown   bool             // text has room for all rows
	name    string           // of the backend of the present row
	backend *haproxy.Backend // with that name in want; nil for the operator's
	servers map[string]haproxy.Server
}

func newStateFile(want haproxy.State) *stateFile {
	f := &stateFile{want: want}
	f.text.Write(cfgfile.EmptyServerState())
	return f
}

// grow makes room for the rows of all servers, which are megabytes, before the first one of
// podgate: a HAProxy without any needs no room.
func (f *stateFile) grow() {
	const rowSize = 128
	size := 0
	for _, b := range f.want.Backends.All() {
		if b.Options.Check { // the file omits most servers without checks
			size += len(b.Servers) * rowSize
		}
	}
	f.text.Grow(size)
	f.grown = true
}

// otherBlanks separate the words of a "server-state-file" (isspace(3)), but not those
// of a reply. HAProxy would misread a row that contains them.
const otherBlanks = "\t\v\f\r"

func (f *stateFile) line(_ int, line []byte) error {
	began := f.rows.began
	ok, err := f.rows.next(line)
	if err != nil || !began {
		return err
	}
	if ok && !f.keeps(&f.rows.row) || bytes.ContainsAny(line, otherBlanks) {
		return nil
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	if ok && f.backend != nil {
		row := f.rows.row
		row[columnBackend] = []byte(f.backend.Name)
		row[columnAdminState] = adminState(f.servers[string(row[columnServer])].State)
		row[columnUseTLS] = useTLS(f.backend.Options.Protocol)
		line = bytes.Join(row[:], []byte(" "))
		line = append(append(line, ' '), f.rows.after(columnUseTLS)...)
	}
	f.text.Write(line)
	f.text.WriteByte('\n')
	return nil
}

// keeps reports whether the file contains the row.
func (f *stateFile) keeps(row *stateRow) bool {
	if name := row[columnBackend]; f.name != string(name) || f.name == "" {
		f.name, f.backend, f.servers = string(name), nil, nil
		if b, ok := f.want.Backend(cmp.Or(f.spares[f.name], f.name)); ok {
			if !f.grown {
				f.grow()
			}
			f.backend, f.servers = &b, byName(b.Servers)
		}
	}
	if f.backend == nil && strings.HasPrefix(f.name, haproxy.SparePrefix) {
		return false // the next process has other backends in its spares
	}
	if f.backend == nil {
		return !f.want.Settings.StatePerBackend // otherwise the operator's backends read another file
	}
	server, ok := f.servers[string(row[columnServer])]
	if f.want.Settings.StatePerBackend && server.State == haproxy.Ready && string(row[columnOpState]) == opRunning {
		return false // each backend reads the whole file
	}
	return ok && keepsState(row, server, f.backend.Options)
}

func byName(servers []haproxy.Server) map[string]haproxy.Server {
	m := make(map[string]haproxy.Server, len(servers))
	for _, s := range servers {
		m[s.Name()] = s
	}
	return m
}

// The bits of srv_check_state, and the values of srv_op_state, that matter.
const (
	checkEnabled = 0x04
	opRunning    = "2"
	opStopped    = "0"
)

// keepsState reports whether HAProxy may apply the row to the server. The address must
// be the same, as that of the row would override the configuration. The server must have
// had checks before if it has checks now, and otherwise be up, as no check would bring
// it up again. Without checks the row of a ready server is not needed.
func keepsState(row *stateRow, s haproxy.Server, o haproxy.Options) bool {
	state, err := row.state()
	if err != nil || state == haproxy.Maint || !row.hasAddr(s.Addr) {
		return false
	}
	if !o.Check {
		return s.State == haproxy.Drain && string(row[columnOpState]) == opRunning
	}
	check, err := strconv.ParseUint(string(row[columnCheckState]), 10, 32)
	return err == nil && check&checkEnabled != 0
}

// adminState returns the srv_admin_state of one of podgate's servers.
func adminState(s haproxy.ServerState) []byte {
	switch s {
	case haproxy.Drain:
		return []byte("8")
	case haproxy.Maint:
		return []byte("1")
	}
	return []byte("0")
}

// useTLS returns the srv_use_ssl of a server.
func useTLS(p haproxy.Protocol) []byte {
	if p == haproxy.TLS || p == haproxy.H2 {
		return []byte("1")
	}
	return []byte("0")
}
