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
// servers (management.txt "show servers state"). Without backends, it sends nothing.
func (x exchanger) Standing(ctx context.Context, backends []string) (map[string]Standing, error) {
	if len(backends) == 0 {
		return nil, nil
	}
	o, err := x.readServers(ctx, backends)
	return o.Standing, err
}

// standingRows are the servers of one backend that get no new clients, as they are read.
type standingRows struct {
	down, others []byte // rows of servers that are down, and of the others
	up           bool   // there is another server, and it is up
}

// add adds the present row, whose server has this state. The row of a server whose address
// another program has changed, or that podgate does not manage, is not added: it counts as up.
func (s *standingRows) add(rows *stateRows, state haproxy.ServerState) error {
	value := rows.row[columnCheckState]
	check, err := strconv.ParseUint(string(value), 10, 32)
	switch isDown := check&checkEnabled != 0 && string(rows.row[columnOpState]) == opStopped; {
	case err != nil:
		return fmt.Errorf("srv_check_state is %q, want a number", value)
	case state != haproxy.Ready:
		s.others = rows.appendStanding(s.others, adminState(state))
	case isDown:
		s.down = rows.appendStanding(s.down, adminState(state))
	default:
		s.up = true
	}
	return nil
}

// standing returns the Standing of the rows so far.
func (s *standingRows) standing() Standing {
	all := Standing{Rows: string(s.down) + string(s.others), Rest: string(s.others)}
	if s.up {
		all.Rest = all.Rows
	}
	return all
}

// The columns of a row that change although the state of the server does not.
const (
	columnSinceChange = 9
	columnCheckHealth = 12
)

// appendStanding appends the present row with an administrative state, and without what
// changes all the time. It skips a row that HAProxy would misread.
func (r *stateRows) appendStanding(text, admin []byte) []byte {
	if bytes.ContainsAny(r.line, otherBlanks) {
		return text
	}
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
