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
// its name says, or no weight at all, does not serve as it should, and is told as
// haproxy.Maint, so that the next Plan sets it right or deletes it.
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
	o := newObserved()
	for i, reply := range replies {
		if reply == "Can't find backend." {
			continue
		}
		if err := o.parse(reply); err != nil {
			return nil, fmt.Errorf("observe HAProxy: %s: %w", commands[i], err)
		}
	}
	o.sort()
	return o.Servers, nil
}

// Observed is what all backends hold.
type Observed struct {
	Servers   map[string][]haproxy.Server // as Client.Servers returns them
	Strangers map[string][]string         // names of the servers that are not ours, by backend, sorted
}

// Observe returns the servers of all backends, those that are not ours too
// (management.txt "show servers state").
func (c *Client) Observe(ctx context.Context) (Observed, error) {
	const command = "show servers state"
	replies, err := c.worker.exchange(ctx, []string{command})
	if err != nil {
		return Observed{}, fmt.Errorf("observe HAProxy: %w", err)
	}
	o := newObserved()
	if err := o.parse(replies[0]); err != nil {
		return Observed{}, fmt.Errorf("observe HAProxy: %s: %w", command, err)
	}
	o.sort()
	return *o, nil
}

func newObserved() *Observed {
	return &Observed{Servers: map[string][]haproxy.Server{}, Strangers: map[string][]string{}}
}

func (o *Observed) sort() {
	for _, list := range o.Servers {
		slices.SortFunc(list, func(a, b haproxy.Server) int { return a.Addr.Compare(b.Addr) })
	}
	for _, list := range o.Strangers {
		slices.Sort(list)
	}
}

// The columns of "show servers state" in version 1, the only one.
const (
	columnBackend    = 1
	columnServer     = 3
	columnAddr       = 4
	columnOpState    = 5
	columnAdminState = 6
	columnWeight     = 7
	columnCheckState = 13
	columnPort       = 18
)

func (o *Observed) parse(reply string) error {
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
			o.Strangers[row[columnBackend]] = append(o.Strangers[row[columnBackend]], row[columnServer])
			continue
		}
		admin, err := strconv.ParseUint(row[columnAdminState], 10, 32)
		if err != nil {
			return fmt.Errorf("srv_admin_state %q is not a number", row[columnAdminState])
		}
		state := serverState(admin)
		weight, err := strconv.ParseUint(row[columnWeight], 10, 16)
		if err != nil || weight == 0 || !hasAddr(row, addr) {
			state = haproxy.Maint
		}
		if weight == 1 {
			weight = 0
		}
		o.Servers[row[columnBackend]] = append(o.Servers[row[columnBackend]], haproxy.Server{Addr: addr, State: state, Weight: uint16(weight)})
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
