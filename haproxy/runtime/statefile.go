// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// StateFile returns what a "server-state-file" is to hold when want is loaded
// next, so that servers which are down or drain do not come back up by the
// reload (configuration.txt "load-server-state-from-file"). It is made of what
// the servers are now: those that want has too, in the administrative state that
// want gives them and with the health that they have. A server that is in maint
// now, and one whose health means nothing in want, is left out and so starts as
// the file declares it. Servers of backends that want does not have are the
// operator's and told as they are.
//
// The content holds for one reload: HAProxy believes it whenever it starts. Put
// cfgfile.EmptyServerState in its place afterwards.
func (x exchanger) StateFile(ctx context.Context, want haproxy.State) ([]byte, error) {
	const command = "show servers state"
	file, err := ask(ctx, x, func(ask asker) ([]byte, error) {
		out := newStateFile(want)
		err := ask(ctx, []string{command}, out.line)
		if err == nil {
			err = out.rows.end()
		}
		return out.text.Bytes(), err
	})
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %s: %w", command, err)
	}
	return file, nil
}

// stateFile makes a "server-state-file" of the rows of "show servers state".
type stateFile struct {
	want    haproxy.State
	rows    stateRows
	text    bytes.Buffer
	backend *haproxy.Backend // of the present row; nil where it is not ours
	servers map[string]haproxy.Server
	name    string // of the present row's backend, ours or not
}

func newStateFile(want haproxy.State) *stateFile {
	const rowSize = 128
	f := &stateFile{want: want}
	size := len(cfgfile.EmptyServerState())
	for _, b := range want.Backends.All() {
		if b.Options.Check { // or hardly any of its rows tells anything
			size += len(b.Servers) * rowSize
		}
	}
	f.text.Grow(size)
	f.text.Write(cfgfile.EmptyServerState())
	return f
}

// otherBlanks part the words of a "server-state-file", as isspace(3) has it, but
// never those of a reply: such a row would be read as another server's.
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
		// All that comes behind the state stays as it is.
		row := &f.rows.row
		server := f.servers[string(row[columnServer])]
		line = bytes.Join(row[:columnAdminState], []byte(" "))
		line = append(append(line, ' '), adminState(server.State)...)
		rest := f.rows.behind(columnAdminState)
		line = append(append(line, ' '), rest...)
	}
	f.text.Write(line)
	f.text.WriteByte('\n')
	return nil
}

// keeps reports whether the row is to stand in the file.
func (f *stateFile) keeps(row *stateRow) bool {
	if name := row[columnBackend]; f.name != string(name) || f.name == "" {
		f.name, f.backend, f.servers = string(name), nil, nil
		if b, ours := f.want.Backend(f.name); ours {
			f.backend, f.servers = &b, byName(b.Servers)
		}
	}
	if f.backend == nil {
		return true
	}
	server, ok := f.servers[string(row[columnServer])]
	return ok && keepsState(row, server, f.backend.Options)
}

func byName(servers []haproxy.Server) map[string]haproxy.Server {
	m := make(map[string]haproxy.Server, len(servers))
	for _, s := range servers {
		m[s.Name()] = s
	}
	return m
}

// The bits of srv_check_state, and the value of srv_op_state, that matter.
const (
	checkEnabled = 0x04
	opRunning    = "2"
)

// keepsState reports whether HAProxy may take over the row for the server: its
// address, which would beat that of the configuration, must be the same, and its
// health must not outlive the checks that it is from, nor end new ones. Without
// checks a server starts just as the row of a ready one says, which is left out.
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

// adminState is srv_admin_state of a server of ours.
func adminState(s haproxy.ServerState) string {
	if s == haproxy.Drain {
		return "8"
	}
	return "0"
}
