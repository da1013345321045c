// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// AddsBackends reports whether the process adds backends at run time, as HAProxy 3.4
// and newer do (management.txt "add backend").
func (x exchanger) AddsBackends(ctx context.Context) (bool, error) {
	replies, err := x.exchange(ctx, "help add backend")
	if err != nil {
		return false, fmt.Errorf("observe HAProxy: %w", err)
	}
	return strings.Contains(replies[0], "\n  add backend "), nil
}

// Published returns the existing backends, of names or all if names is nil, and
// whether HAProxy may send requests to them (management.txt "show stat", "publish
// backend"). Without AddsBackends all are published.
func (x exchanger) Published(ctx context.Context, names []string) (map[string]bool, error) {
	commands := []string{showStat(anyProxy, statBackend)}
	if names != nil {
		commands = nil
		for _, name := range names {
			if err := checkWord("backend", name); err != nil {
				return nil, err
			}
			commands = append(commands, showStat(name, statBackend))
		}
	}
	all, err := x.fitting(ctx, commands)
	if err != nil {
		return nil, err
	}
	published := map[string]bool{}
	for line := range all {
		_, err := ask(ctx, x, func(ask asker) (none struct{}, err error) {
			return none, readStat(ctx, ask, line, []string{"pxname", "status"}, func(row [][]byte) error {
				published[string(row[0])] = !bytes.HasSuffix(row[1], []byte("(UNPUB)"))
				return nil
			})
		})
		if err != nil {
			return nil, fmt.Errorf("observe HAProxy: %w", err)
		}
	}
	return published, nil
}

// addBackends adds the backends, unpublished, and returns the names of those that were
// rejected.
func (x exchanger) addBackends(ctx context.Context, backends []*haproxy.Backend, a *Applied) (map[string]bool, error) {
	rejected := map[string]bool{}
	var commands []string
	var sent []*haproxy.Backend
	for _, b := range backends {
		if b.Spare != "" {
			continue // HAProxy has it
		}
		if err := checkWord("backend", b.Name); err != nil {
			rejected[b.Name] = true
			a.rejectBackend(b.Name, err.Error())
			continue
		}
		sent = append(sent, b)
		commands = append(commands, "add backend "+b.Name+" from "+cfgfile.Class(b.Policy))
	}
	a.Commands += len(commands)
	replies, err := x.exchangeAll(ctx, commands)
	if err != nil {
		return nil, err
	}
	for i, reply := range replies {
		if !strings.Contains(reply, "New backend registered.") {
			rejected[sent[i].Name] = true
			a.rejectBackend(sent[i].Name, firstLine(reply))
		}
	}
	return rejected, nil
}

// publish allows HAProxy to send requests to the backends.
func (x exchanger) publish(ctx context.Context, names []string, a *Applied) error {
	var commands []string
	for _, name := range names {
		commands = append(commands, "publish backend "+name)
	}
	a.Commands += len(commands)
	replies, err := x.exchangeAll(ctx, commands)
	if err != nil {
		return err
	}
	for i, reply := range replies {
		if !strings.Contains(reply, "Backend published.") {
			a.rejectBackend(names[i], firstLine(reply))
		}
	}
	return nil
}

// deleteBackends deletes backends that have no server and to which no route leads.
// Those that HAProxy still uses become PendingBackends.
func (x exchanger) deleteBackends(ctx context.Context, backends []*haproxy.Backend, a *Applied) error {
	var commands []string
	for _, b := range backends {
		commands = append(commands, "unpublish backend "+b.Name, "del backend "+b.Name)
	}
	a.Commands += len(commands)
	replies, err := x.exchangeAll(ctx, commands)
	if err != nil {
		return err
	}
	for i, b := range backends {
		switch reply := replies[2*i+1]; {
		case strings.Contains(reply, "Backend deleted."), strings.Contains(reply, "No such backend."):
		case strings.Contains(reply, "cannot be removed at runtime"):
			a.rejectBackend(b.Name, firstLine(reply))
		default:
			a.PendingBackends = append(a.PendingBackends, b.Name)
		}
	}
	return nil
}

// withoutRejected removes the changes of rejected backends from the plan, and if there
// are any also the maps, which could lead to them, and all changes after the maps.
func withoutRejected(plan haproxy.Plan, rejected map[string]bool) haproxy.Plan {
	if len(rejected) == 0 {
		return plan
	}
	plan.Add = slices.DeleteFunc(slices.Clone(plan.Add), func(c haproxy.ServerChange) bool { return rejected[c.Backend.Name] })
	plan.Publish = slices.DeleteFunc(slices.Clone(plan.Publish), func(name string) bool { return rejected[name] })
	plan.Maps, plan.Leave, plan.OldBackends = nil, nil, nil
	return plan
}

// rejectIncomplete rejects the new backends of which a server was rejected, and returns
// their names. A reload adds them with everything that their servers need.
func (a *Applied) rejectIncomplete(added []*haproxy.Backend) map[string]bool {
	rejected := map[string]bool{}
	for _, r := range slices.Clone(a.Rejected) {
		isNew := r.Change.Backend != nil && slices.ContainsFunc(added, func(b *haproxy.Backend) bool { return b.Name == r.Change.Backend.Name })
		if isNew && !rejected[r.Change.Backend.Name] {
			rejected[r.Change.Backend.Name] = true
			a.rejectBackend(r.Change.Backend.Name, r.String())
		}
	}
	return rejected
}
