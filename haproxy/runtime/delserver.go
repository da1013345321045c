// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"podgate/haproxy"
)

// checkRuns is the bit of srv_check_state that a check is under way.
const checkRuns = 0x01

// checksEnd takes the deletes out of changes that have to wait for a health check
// that is under way, and sets those servers to maint, so that no other one begins.
//
// HAProxy 3.0 to 3.2 end on the spot (BUG_ON in "del server") where they delete a
// server that they speak ALPN with to check it: they count such a connection among
// the idle ones of sessions, which it is not. A pod that leaves is often one that
// answers late.
func (x exchanger) checksEnd(ctx context.Context, changes []haproxy.ServerChange, a *Applied) ([]haproxy.ServerChange, error) {
	var names []string
	for _, change := range changes {
		if needsChecksEnd(change) {
			names = append(names, change.Backend.Name+"/"+change.Server.Name())
		}
	}
	checked, err := x.stillChecked(ctx, names, a)
	if err != nil || len(checked) == 0 {
		return changes, err
	}
	return slices.DeleteFunc(slices.Clone(changes), func(change haproxy.ServerChange) bool {
		waits := needsChecksEnd(change) && checked[change.Backend.Name+"/"+change.Server.Name()]
		if waits {
			a.Pending = append(a.Pending, change)
		}
		return waits
	}), nil
}

func needsChecksEnd(c haproxy.ServerChange) bool {
	return c.Op == haproxy.DeleteServer && c.Backend.Options.Check && c.Backend.Options.Protocol == haproxy.H2
}

// stillChecked sets servers, named "backend/server", to maint and returns those
// with a check under way.
func (x exchanger) stillChecked(ctx context.Context, servers []string, a *Applied) (map[string]bool, error) {
	var maint, show []string
	for _, name := range servers {
		backend, _, _ := strings.Cut(name, "/")
		if checkWord("server", name) != nil {
			continue // it is rejected, or left alone
		}
		maint = append(maint, "set server "+name+" state maint")
		if command := "show servers state " + backend; !slices.Contains(show, command) {
			show = append(show, command)
		}
	}
	if len(maint) == 0 {
		return nil, nil
	}
	a.Commands += len(maint) + len(show)
	replies, err := x.exchangeAll(ctx, slices.Concat(maint, show))
	if err != nil {
		return nil, err
	}
	checked := map[string]bool{}
	for i, reply := range replies[len(maint):] {
		if reply == noBackend {
			continue
		}
		var rows stateRows
		err := eachLine(reply, func(_ int, line []byte) error {
			ok, err := rows.next(line)
			if err != nil || !ok {
				return err
			}
			state, err := strconv.ParseUint(string(rows.row[columnCheckState]), 10, 32)
			if err == nil && state&checkRuns != 0 {
				checked[string(rows.row[columnBackend])+"/"+string(rows.row[columnServer])] = true
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", show[i], err)
		}
	}
	return checked, nil
}
