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
	Commands int                    // sent to HAProxy, including rejected ones
	Pending  []haproxy.ServerChange // deletes that wait for a server's last connection
	// PendingBackends are the names of backends that HAProxy is not done with yet.
	PendingBackends []string
	Rejected        []Rejection
}

// Rejection is a part of a Plan that HAProxy rejected, or that was not sent because it
// would not have been one command.
type Rejection struct {
	Change      haproxy.ServerChange // of no meaning where Map, Backend or Certificate is set
	Map         string               // one of haproxy.MapNames
	Backend     string               // name of a whole backend
	Certificate haproxy.CertificateChange
	Reply       string // HAProxy's own words
}

// String is "add shop_cart_80/10.1.2.3:8080 ready: No such backend.".
func (r Rejection) String() string {
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

func (a *Applied) reject(c haproxy.ServerChange, reply string) {
	a.Rejected = append(a.Rejected, Rejection{Change: c, Reply: reply})
}

func (a *Applied) rejectMap(name, reply string) {
	a.Rejected = append(a.Rejected, Rejection{Map: name, Reply: reply})
}

func (a *Applied) rejectBackend(name, reply string) {
	a.Rejected = append(a.Rejected, Rejection{Backend: name, Reply: reply})
}

// Apply carries out the parts of the plan that need no reload, in the order of
// its fields. What HAProxy rejects is listed in Applied and stops only what depends
// on it: no server leaves a backend of which a new server was rejected, and no
// server leaves at all where a map could not be swapped, because requests may still
// be routed there. A new backend is left to a reload if it or one of its servers was
// rejected, and so are the parts of the plan after it.
//
// After an error, of a socket or ErrProcessChanged, the work is part-done and
// Applied lists what is known of it. What HAProxy shows afterwards, not what it
// answered, is the truth: observe again.
//
// Adding a server that exists sets its state; deleting one that does not exist
// does nothing.
func (x exchanger) Apply(ctx context.Context, plan haproxy.Plan) (Applied, error) {
	var a Applied
	rejected, err := x.addBackends(ctx, plan.NewBackends, &a)
	if err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	plan = withoutRejected(plan, rejected)
	if err := x.changeServers(ctx, plan.Add, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	plan = withoutRejected(plan, a.rejectUnfilled(plan.NewBackends))
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

// safeToLeave is what of leave is in no backend of which a server was rejected.
func (a *Applied) safeToLeave(leave []haproxy.ServerChange) []haproxy.ServerChange {
	rejected := map[string]bool{}
	for _, r := range a.Rejected {
		if r.Change.Backend != nil {
			rejected[r.Change.Backend.Name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(leave), func(c haproxy.ServerChange) bool { return rejected[c.Backend.Name] })
}
