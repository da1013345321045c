// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"podgate/haproxy"
)

// Servers returns the servers of the named backends, or of all if backends is
// nil, each list sorted by address (management.txt "show servers state").
// Servers whose name is no address are not ours and left out; a backend without
// servers of ours, or that HAProxy does not have, is not in the map.
//
// The name is the server's identity. One that was given another address than
// its name says serves nothing that it should, and is told as haproxy.Maint, so
// that the next Plan sets it right or deletes it.
func (c *Client) Servers(ctx context.Context, backends []string) (map[string][]haproxy.Server, error) {
	commands := []string{"show servers state"}
	if backends != nil {
		commands = nil
		for _, b := range backends {
			if err := checkWord("backend", b); err != nil {
				return nil, err
			}
			commands = append(commands, "show servers state "+b)
		}
	}
	replies, err := c.worker.exchangeAll(ctx, commands)
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	servers := map[string][]haproxy.Server{}
	for i, reply := range replies {
		if reply == "Can't find backend." {
			continue
		}
		if err := parseServers(servers, reply); err != nil {
			return nil, fmt.Errorf("observe HAProxy: %s: %w", commands[i], err)
		}
	}
	for _, list := range servers {
		slices.SortFunc(list, func(a, b haproxy.Server) int { return a.Addr.Compare(b.Addr) })
	}
	return servers, nil
}

// The columns of "show servers state" in version 1, the only one.
const (
	columnBackend    = 1
	columnServer     = 3
	columnAddr       = 4
	columnOpState    = 5
	columnAdminState = 6
	columnCheckState = 13
	columnPort       = 18
)

func parseServers(into map[string][]haproxy.Server, reply string) error {
	version, rest, _ := strings.Cut(reply, "\n")
	if version != "1" {
		return fmt.Errorf("HAProxy answered %q", version)
	}
	for line := range strings.Lines(rest) {
		row := strings.Fields(line)
		if len(row) == 0 || row[0] == "#" {
			continue
		}
		if len(row) <= columnPort {
			return fmt.Errorf("a row of %d columns: %q", len(row), strings.TrimSpace(line))
		}
		addr, ours := haproxy.ParseServerName(row[columnServer])
		if !ours {
			continue
		}
		admin, err := strconv.ParseUint(row[columnAdminState], 10, 32)
		if err != nil {
			return fmt.Errorf("srv_admin_state %q is not a number", row[columnAdminState])
		}
		state := serverState(admin)
		if !hasAddr(row, addr) {
			state = haproxy.Maint
		}
		into[row[columnBackend]] = append(into[row[columnBackend]], haproxy.Server{Addr: addr, State: state})
	}
	return nil
}

// The bits of srv_admin_state (management.txt "show servers state"). Left out
// is 0x04: the file declared the server disabled, which holds no longer once
// its other bits are gone.
const (
	adminMaint = 0x01 | 0x02 | 0x20 // by command, inherited from a tracked server, by name resolution
	adminDrain = 0x08 | 0x10        // by command, inherited
)

func serverState(admin uint64) haproxy.ServerState {
	switch {
	case admin&adminMaint != 0:
		return haproxy.Maint
	case admin&adminDrain != 0:
		return haproxy.Drain
	}
	return haproxy.Ready
}

func hasAddr(row []string, want netip.AddrPort) bool {
	addr, err := netip.ParseAddr(row[columnAddr])
	if err != nil {
		return false
	}
	port, err := strconv.ParseUint(row[columnPort], 10, 16)
	return err == nil && netip.AddrPortFrom(addr, uint16(port)) == want
}
