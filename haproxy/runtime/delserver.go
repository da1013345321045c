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

// checkInProgress is the bit of srv_check_state that a check is under way.
const checkInProgress = 0x01

// postponeChecked returns changes without the deletes of servers with a health check in
// progress, which become Pending. It sets those servers to maint, so that HAProxy
// starts no further check.
//
// HAProxy 3.0 to 3.2 crash (BUG_ON in "del server") if they delete a server during a
// health check with ALPN, because they count the connection of the check among the idle
// connections of sessions. The pods of removed servers often answer late, so this is
// not rare.
func (x exchanger) postponeChecked(ctx context.Context, changes []haproxy.ServerChange, a *Applied) ([]haproxy.ServerChange, error) {
	var names []string
	for _, change := range changes {
		if mustAwaitCheck(change) {
			names = append(names, serverPath(change))
		}
	}
	checked, err := x.stopChecks(ctx, names, a)
	if err != nil || len(checked) == 0 {
		return changes, err
	}
	return slices.DeleteFunc(slices.Clone(changes), func(change haproxy.ServerChange) bool {
		waits := mustAwaitCheck(change) && checked[serverPath(change)]
		if waits {
			a.Pending = append(a.Pending, change)
		}
		return waits
	}), nil
}

func mustAwaitCheck(c haproxy.ServerChange) bool {
	return c.Op == haproxy.DeleteServer && c.Backend.Options.Check && c.Backend.Options.Protocol == haproxy.H2
}

// stopChecks sets servers, named "backend/server", to maint, so that HAProxy starts no
// further health check. It returns those with a check in progress.
func (x exchanger) stopChecks(ctx context.Context, servers []string, a *Applied) (map[string]bool, error) {
	var maint, show []string
	for _, name := range servers {
		backend, _, _ := strings.Cut(name, "/")
		if checkWord("server", name) != nil {
			continue // the caller rejects or skips it
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
			if err == nil && state&checkInProgress != 0 {
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
