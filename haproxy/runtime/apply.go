// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"slices"

	"podgate/haproxy"
)

// Applied tells what became of a Plan.
type Applied struct {
	Commands int                    // sent to HAProxy, refused ones among them
	Pending  []haproxy.ServerChange // deletes that wait for a server's last connection
	// Lingering are the names of backends that HAProxy is not done with yet.
	Lingering []string
	Refused   []Refusal
}

// Refusal is what HAProxy did not take of a Plan, or what was not sent because
// it would not have been one command.
type Refusal struct {
	Change      haproxy.ServerChange // of no meaning where Map, Backend or Certificate is set
	Map         string               // one of haproxy.MapNames
	Backend     string               // name of a whole backend
	Certificate haproxy.CertificateChange
	Reply       string // HAProxy's own words
}

// String is "add shop_cart_80/10.1.2.3:8080 ready: No such backend.".
func (r Refusal) String() string {
	switch {
	case r.Certificate.Op != "":
		return fmt.Sprintf("%s: %s", r.Certificate, r.Reply)
	case r.Map != "":
		return fmt.Sprintf("swap map %s: %s", r.Map, r.Reply)
	case r.Backend != "":
		return fmt.Sprintf("backend %s: %s", r.Backend, r.Reply)
	}
	return fmt.Sprintf("%s: %s", r.Change, r.Reply)
}

func (a *Applied) refuse(c haproxy.ServerChange, reply string) {
	a.Refused = append(a.Refused, Refusal{Change: c, Reply: reply})
}

func (a *Applied) refuseMap(name, reply string) {
	a.Refused = append(a.Refused, Refusal{Map: name, Reply: reply})
}

func (a *Applied) refuseBackend(name, reply string) {
	a.Refused = append(a.Refused, Refusal{Backend: name, Reply: reply})
}

// Apply carries out the parts of the plan that need no reload, in the order of
// its fields. What HAProxy refuses is listed in Applied and stops only what depends
// on it: no server leaves a backend that was refused a new one, and no server
// leaves at all where a map could not be swapped, because requests may still be
// routed there. A new backend that was refused, or was refused a server, is left to
// a reload, and so are the parts of the plan after it.
//
// After an error, of a socket or ErrProcessChanged, the work is part-done and
// Applied lists what is known of it. What HAProxy shows afterwards, not what it
// answered, is the truth: observe again.
//
// Adding a server that exists sets its state; deleting one that does not exist
// does nothing.
func (x exchanger) Apply(ctx context.Context, plan haproxy.Plan) (Applied, error) {
	var a Applied
	refused, err := x.addBackends(ctx, plan.NewBackends, &a)
	if err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	plan = withoutRefused(plan, refused)
	if err := x.changeServers(ctx, plan.Add, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	plan = withoutRefused(plan, a.refuseUnfilled(plan.NewBackends))
	if err := x.publish(ctx, plan.Publish, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	leave := a.safeToLeave(plan.Leave)
	if err := x.unpinned().changeCertificates(ctx, plan.Certificates, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: certificates: %w", err)
	}
	swapped, err := x.swapMaps(ctx, plan.Maps, &a)
	if err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	if !swapped {
		leave, plan.OldBackends = nil, nil
	}
	if leave, err = x.checksEnd(ctx, leave, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	if err := x.changeServers(ctx, leave, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	if err := x.removeUnmanaged(ctx, plan.RemoveUnmanaged, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	if err := x.deleteBackends(ctx, plan.OldBackends, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	if err := x.changeCertificates(ctx, plan.DropCertificates, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: certificates: %w", err)
	}
	return a, nil
}

// removeUnmanaged deletes servers of podgate's backends that are not podgate's. One
// that has connections, or is being checked, is only set to maint, and found again by
// the next Observe.
func (x exchanger) removeUnmanaged(ctx context.Context, servers []string, a *Applied) error {
	checked, err := x.stillChecked(ctx, servers, a)
	if err != nil {
		return err
	}
	var commands []string
	for _, name := range servers {
		if err := checkWord("server", name); err != nil {
			continue // HAProxy takes no such name itself
		}
		if !checked[name] {
			commands = append(commands, "del server "+name)
		}
	}
	a.Commands += len(commands)
	_, err = x.exchangeAll(ctx, commands)
	return err
}

// safeToLeave is what of leave is in no backend that was refused a server.
func (a *Applied) safeToLeave(leave []haproxy.ServerChange) []haproxy.ServerChange {
	refused := map[string]bool{}
	for _, r := range a.Refused {
		if r.Change.Backend != nil {
			refused[r.Change.Backend.Name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(leave), func(c haproxy.ServerChange) bool { return refused[c.Backend.Name] })
}
