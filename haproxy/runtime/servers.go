// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"podgate/haproxy"
)

// Servers returns podgate's servers of the named backends, or of all if backends is
// nil, each list sorted by address (management.txt "show servers state"). It skips
// unmanaged servers, whose names are not addresses. A backend without other servers, or
// that HAProxy does not have, is not in the map.
//
// If another client changed the address of a server, or set its weight to zero, the
// server is returned as haproxy.Maint, so that the next Plan corrects or deletes it.
func (x exchanger) Servers(ctx context.Context, backends []string) (map[string][]haproxy.Server, error) {
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
	replies, err := x.exchangeAll(ctx, commands)
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	o := newObserved()
	for i, reply := range replies {
		if reply == noBackend {
			continue
		}
		if err := o.parse(reply); err != nil {
			return nil, fmt.Errorf("observe HAProxy: %s: %w", commands[i], err)
		}
	}
	o.sort()
	return o.Servers, nil
}

// noBackend is HAProxy's reply to "show servers state" of a backend it does not have.
const noBackend = "Can't find backend."

// Observed is the servers of all backends.
type Observed struct {
	Servers   map[string][]haproxy.Server // as Client.Servers returns them
	Unmanaged map[string][]string         // names of unmanaged servers, by backend, sorted
}

// Observe returns the servers of all backends, including unmanaged ones
// (management.txt "show servers state").
func (x exchanger) Observe(ctx context.Context) (Observed, error) {
	const command = "show servers state"
	o, err := ask(ctx, x, func(ask asker) (*Observed, error) {
		o := newObserved()
		in := observer{into: o}
		return o, in.end(ask(ctx, []string{command}, in.line))
	})
	if err != nil {
		return Observed{}, fmt.Errorf("observe HAProxy: %s: %w", command, err)
	}
	o.sort()
	return *o, nil
}

func newObserved() *Observed {
	return &Observed{Servers: map[string][]haproxy.Server{}, Unmanaged: map[string][]string{}}
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

// parse adds the servers of a whole reply.
func (o *Observed) parse(reply string) error {
	in := observer{into: o}
	return in.end(eachLine(reply, in.line))
}

// observer parses "show servers state" into an Observed. The rows of a backend are
// adjacent.
type observer struct {
	into    *Observed
	rows    stateRows
	backend string           // of the last row
	servers []haproxy.Server // of that backend
}

func (in *observer) line(_ int, line []byte) error {
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
		return nil
	}
	state, err := row.state()
	if err != nil {
		return err
	}
	weight, err := strconv.ParseUint(string(row[columnWeight]), 10, 16)
	if err != nil || weight == 0 || !row.hasAddr(addr) {
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
}

// end must be called after the last line, with the error so far. It returns that error,
// or one if the reply was empty.
func (in *observer) end(err error) error {
	in.flush()
	if err != nil {
		return err
	}
	return in.rows.end()
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
