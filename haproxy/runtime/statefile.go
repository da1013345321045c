// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"podgate/haproxy"
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
// EmptyStateFile in its place afterwards.
func (c *Client) StateFile(ctx context.Context, want haproxy.State) ([]byte, error) {
	const command = "show servers state"
	replies, err := c.worker.exchange(ctx, []string{command})
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	file, err := stateFile(replies[0], want)
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %s: %w", command, err)
	}
	return file, nil
}

// EmptyStateFile is a "server-state-file" of no servers.
func EmptyStateFile() []byte { return []byte("1\n") }

func stateFile(reply string, want haproxy.State) ([]byte, error) {
	rest, ok := strings.CutPrefix(reply, "1\n")
	if !ok {
		return nil, fmt.Errorf("HAProxy answered %q", firstLine(reply))
	}
	file := bytes.NewBuffer(EmptyStateFile())
	wanted := map[string]map[string]haproxy.Server{} // by backend and name
	for line := range strings.Lines(rest) {
		line = strings.TrimSuffix(line, "\n")
		row := strings.Fields(line)
		if len(row) > columnPort && row[0] != "#" {
			b, ours := want.Backend(row[columnBackend])
			if ours {
				if wanted[b.Name] == nil {
					wanted[b.Name] = byName(b.Servers)
				}
				server, ok := wanted[b.Name][row[columnServer]]
				if !ok || !keepsState(row, server, b.Options) {
					continue
				}
				row[columnAdminState] = adminState(server.State)
				line = strings.Join(row, " ")
			}
		}
		fmt.Fprintln(file, line)
	}
	return file.Bytes(), nil
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
// health must not outlive the checks that it is from, nor end new ones.
func keepsState(row []string, s haproxy.Server, o haproxy.Options) bool {
	admin, err := strconv.ParseUint(row[columnAdminState], 10, 32)
	if err != nil || serverState(admin) == haproxy.Maint || !hasAddr(row, s.Addr) {
		return false
	}
	if !o.Check {
		return row[columnOpState] == opRunning
	}
	check, err := strconv.ParseUint(row[columnCheckState], 10, 32)
	return err == nil && check&checkEnabled != 0
}

// adminState is srv_admin_state of a server of ours.
func adminState(s haproxy.ServerState) string {
	if s == haproxy.Drain {
		return "8"
	}
	return "0"
}
