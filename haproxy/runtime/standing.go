// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"podgate/haproxy"
)

// Standing is rows of a "server-state-file" for reloads by other programs: the servers
// of a backend that get no new clients.
type Standing struct {
	// Rows has the servers that are down, that drain, or that are in maint. A row changes
	// only when the state of its server changes.
	Rows string
	// Rest is Rows without the servers that are down, if no other server is up. It is for
	// a file that podgate will not update: HAProxy would answer 503 until it has checked
	// the servers.
	Rest string
}

// Standing returns the Standing of backends, by name, without those that have no such
// servers (management.txt "show servers state").
func (x exchanger) Standing(ctx context.Context, backends []string) (map[string]Standing, error) {
	commands := make([]string, len(backends))
	for i, b := range backends {
		if err := checkWord("backend", b); err != nil {
			return nil, err
		}
		commands[i] = "show servers state " + b
	}
	replies, err := x.exchangeAll(ctx, commands)
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	all := map[string]Standing{}
	for i, reply := range replies {
		if reply == noBackend {
			continue
		}
		s, err := standingOf(reply)
		if err != nil {
			return nil, fmt.Errorf("observe HAProxy: %s: %w", commands[i], err)
		}
		if s.Rows != "" {
			all[backends[i]] = s
		}
	}
	return all, nil
}

func standingOf(reply string) (Standing, error) {
	var rows stateRows
	var down, others []byte
	up := false
	err := eachLine(reply, func(_ int, line []byte) error {
		ok, err := rows.next(line)
		if err != nil || !ok || bytes.ContainsAny(bytes.TrimSpace(line), otherBlanks) {
			return err
		}
		admin, isDown, err := rows.row.standing()
		switch {
		case err != nil:
			return err
		case string(admin) != "0":
			others = rows.appendStanding(others, admin)
		case isDown:
			down = rows.appendStanding(down, admin)
		default:
			up = true
		}
		return nil
	})
	if err == nil {
		err = rows.end()
	}
	s := Standing{Rows: string(down) + string(others), Rest: string(others)}
	if up {
		s.Rest = s.Rows
	}
	return s, err
}

// standing returns the srv_admin_state of the row in a "server-state-file", and whether
// its server is down. A server whose address another program has changed, or that
// podgate does not manage, counts as up.
func (r *stateRow) standing() (admin []byte, down bool, err error) {
	addr, ok := haproxy.ParseServerName(string(r[columnServer]))
	if !ok || !r.hasAddr(addr) {
		return adminState(haproxy.Ready), false, nil
	}
	state, err := r.state()
	if err != nil {
		return nil, false, err
	}
	check, err := strconv.ParseUint(string(r[columnCheckState]), 10, 32)
	if err != nil {
		return nil, false, fmt.Errorf("srv_check_state is %q, want a number", r[columnCheckState])
	}
	return adminState(state), check&checkEnabled != 0 && string(r[columnOpState]) == opStopped, nil
}

// The columns of a row that change although the state of the server does not.
const (
	columnSinceChange = 9
	columnCheckHealth = 12
)

// appendStanding appends the present row with an administrative state, and without what
// changes all the time.
func (r *stateRows) appendStanding(text, admin []byte) []byte {
	for i, value := range r.row {
		if i > 0 {
			text = append(text, ' ')
		}
		switch i {
		case columnAdminState:
			text = append(text, admin...)
		case columnSinceChange:
			text = append(text, '0')
		case columnCheckHealth: // HAProxy sets it by the operational state
			text = append(text, '0')
		case columnCheckState:
			check, _ := strconv.ParseUint(string(value), 10, 32)
			text = strconv.AppendUint(text, check&^checkInProgress, 10)
		default:
			text = append(text, value...)
		}
	}
	if rest := bytes.TrimSpace(r.after(columnUseTLS)); len(rest) > 0 {
		text = append(append(text, ' '), rest...)
	}
	return append(text, '\n')
}
