// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"podgate/haproxy"
)

// Servers returns podgate's servers of the named backends, by their names in HAProxy, or of
// all if backends is nil, each list sorted by address (management.txt "show servers state"). It skips
// unmanaged servers, whose names are not addresses. A backend without other servers, or
// that HAProxy does not have, is not in the map.
//
// If another client changed the address of a server, or set its weight to zero, the
// server is returned as haproxy.Maint, so that the next Plan corrects or deletes it.
func (x exchanger) Servers(ctx context.Context, backends []string) (map[string][]haproxy.Server, error) {
	o, err := x.readServers(ctx, backends)
	return o.Servers, err
}

// noBackend is HAProxy's reply to "show servers state" of a backend it does not have.
const noBackend = "Can't find backend."

// Observed is the servers of backends.
type Observed struct {
	Servers   map[string][]haproxy.Server // as Client.Servers returns them
	Unmanaged map[string][]string         // names of unmanaged servers, by backend, sorted
	Standing  map[string]Standing         // as Client.Standing returns it
}

// Observe returns the servers of all backends, including unmanaged ones
// (management.txt "show servers state").
func (x exchanger) Observe(ctx context.Context) (Observed, error) { return x.readServers(ctx, nil) }

// readServers returns the servers of the named backends, or of all if backends is nil. It
// keeps no reply in memory: that of 100,000 servers has more than ten megabytes.
func (x exchanger) readServers(ctx context.Context, backends []string) (Observed, error) {
	commands := []string{showServers}
	if backends != nil {
		commands = nil
		for _, b := range backends {
			if err := checkWord("backend", b); err != nil {
				return Observed{}, err
			}
			commands = append(commands, showServers+" "+b)
		}
	}
	lines, err := x.fitting(ctx, commands)
	if err != nil {
		return Observed{}, fmt.Errorf("observe HAProxy: %w", err)
	}
	all := newObserved()
	for line := range lines {
		some, err := ask(ctx, x, func(ask asker) (*Observed, error) { return askServers(ctx, ask, line) })
		if err != nil {
			return Observed{}, fmt.Errorf("observe HAProxy: %w", err)
		}
		all.add(some)
	}
	all.sort()
	return *all, nil
}

// showServers is the command for the servers of all backends, or of one that follows.
const showServers = "show servers state"

// askServers returns the servers in the replies to showServers commands.
func askServers(ctx context.Context, ask asker, commands []string) (*Observed, error) {
	in := observer{into: newObserved()}
	present, replies := -1, 0
	err := ask(ctx, commands, func(command int, line []byte) error {
		if command != present {
			present, in.rows = command, stateRows{}
			replies++
		}
		if string(line) == noBackend {
			return nil
		}
		if err := in.line(line); err != nil {
			return fmt.Errorf("%s: %w", commands[command], err)
		}
		return nil
	})
	in.flush()
	if err == nil && replies < len(commands) {
		err = fmt.Errorf("%d of %d commands %q have an empty reply", len(commands)-replies, len(commands), showServers)
	}
	return in.into, err
}

func newObserved() *Observed {
	return &Observed{Servers: map[string][]haproxy.Server{}, Unmanaged: map[string][]string{}, Standing: map[string]Standing{}}
}

// add adds other backends.
func (o *Observed) add(other *Observed) {
	maps.Copy(o.Servers, other.Servers)
	maps.Copy(o.Unmanaged, other.Unmanaged)
	maps.Copy(o.Standing, other.Standing)
}

func (o *Observed) sort() {
	for _, list := range o.Servers {
		slices.SortFunc(list, func(a, b haproxy.Server) int { return a.Addr.Compare(b.Addr) })
	}
	for _, list := range o.Unmanaged {
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
	columnUseTLS     = 20
)

// observer parses "show servers state" into an Observed. The rows of a backend are
// adjacent.
type observer struct {
	into     *Observed
	rows     stateRows
	backend  string           // of the last row
	servers  []haproxy.Server // of that backend
	standing standingRows     // of that backend
}

func (in *observer) line(line []byte) error {
	ok, err := in.rows.next(line)
	if err != nil || !ok {
		return err
	}
	row := &in.rows.row
	if in.backend != string(row[columnBackend]) {
		in.flush()
		in.backend = string(row[columnBackend])
	}
	addr, ok := haproxy.ParseServerName(string(row[columnServer]))
	if !ok {
		in.into.Unmanaged[in.backend] = append(in.into.Unmanaged[in.backend], string(row[columnServer]))
		in.standing.up = true
		return nil
	}
	state, err := row.state()
	if err != nil {
		return err
	}
	weight, err := strconv.ParseUint(string(row[columnWeight]), 10, 16)
	moved := !row.hasAddr(addr)
	if moved {
		in.standing.up = true
	} else if err := in.standing.add(&in.rows, state); err != nil {
		return err
	}
	if err != nil || weight == 0 || moved {
		state = haproxy.Maint
	}
	if weight == 1 {
		weight = 0
	}
	in.servers = append(in.servers, haproxy.Server{Addr: addr, State: state, Weight: uint16(weight)})
	return nil
}

// flush adds the servers of the present backend to the Observed, without spare
// capacity.
func (in *observer) flush() {
	if len(in.servers) > 0 {
		in.into.Servers[in.backend] = slices.Concat(in.into.Servers[in.backend], in.servers)
		in.servers = in.servers[:0]
	}
	if s := in.standing.standing(); s.Rows != "" {
		in.into.Standing[in.backend] = s
	}
	in.standing = standingRows{}
}

// The bits of srv_admin_state (management.txt "show servers state"). 0x04 is ignored:
// it means that the file declared the server disabled, and stays set when the server is
// enabled later.
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
