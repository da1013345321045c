// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"slices"

	"podgate/haproxy"
)

// Applied is the result of applying a Plan.
type Applied struct {
	Commands int                    // sent to HAProxy, including rejected ones
	Pending  []haproxy.ServerChange // deletes of servers that still have connections or a health check in progress
	Held     []haproxy.ServerChange // not made, because a part that they depend on was rejected
	// PendingBackends are the names of backends that HAProxy is not done with yet.
	PendingBackends []string
	Rejected        []Rejection
}

// Rejection is a part of a Plan that HAProxy rejected, or that was not sent because it
// contains a character that a command must not contain. Exactly one of the first four
// fields is set.
type Rejection struct {
	Change      haproxy.ServerChange
	Map         string // one of haproxy.MapNames
	Backend     string // name of a whole backend
	Certificate haproxy.CertificateChange
	Reply       string // the reply of HAProxy
	// AtReload means that HAProxy cannot make the change at run time, but when it loads
	// the files: a command is larger than it reads, or a map cannot be replaced.
	AtReload bool
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

// Done returns the parts of plan that were neither rejected nor held.
func (a Applied) Done(plan haproxy.Plan) haproxy.Plan {
	type server struct{ backend, name string }
	servers, maps, certificates := map[server]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range a.Rejected {
		if r.Change.Backend != nil {
			servers[server{r.Change.Backend.Name, r.Change.Server.Name()}] = true
		}
		maps[r.Map], certificates[r.Certificate.Certificate.Name] = true, true
	}
	for _, c := range a.Held {
		servers[server{c.Backend.Name, c.Server.Name()}] = true
	}
	rejected := func(c haproxy.ServerChange) bool { return servers[server{c.Backend.Name, c.Server.Name()}] }
	plan.Add = slices.DeleteFunc(slices.Clone(plan.Add), rejected)
	plan.Leave = slices.DeleteFunc(slices.Clone(plan.Leave), rejected)
	plan.Maps = slices.DeleteFunc(slices.Clone(plan.Maps), func(m haproxy.Map) bool { return maps[m.Name] })
	plan.Certificates = slices.DeleteFunc(slices.Clone(plan.Certificates), func(c haproxy.CertificateChange) bool { return certificates[c.Certificate.Name] })
	return plan
}

// Apply applies the parts of the plan that need no reload, in the order of its fields.
// Applied lists the parts that HAProxy rejects. A rejection prevents only the changes
// that depend on it: if a new server is rejected, no server of its backend drains; if a
// map cannot be replaced, no server is removed from the HTTP backends that lose their last
// route in it, because the present routes may still lead there. If a new backend or one of its servers is rejected, the backend and the
// later parts of the plan are left to a reload.
//
// After an error of a socket, or ErrProcessChanged, a part of the plan may be applied,
// and Applied lists what is known of it. Observe HAProxy again then.
//
// Adding a server that exists sets its state; deleting one that does not exist
// does nothing.
func (x exchanger) Apply(ctx context.Context, plan haproxy.Plan) (Applied, error) {
	var a Applied
	if err := x.apply(ctx, plan, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	return a, nil
}

func (x exchanger) apply(ctx context.Context, plan haproxy.Plan, a *Applied) error {
	plan, err := x.takeSpares(ctx, plan, a)
	if err != nil {
		return err
	}
	rejected, err := x.addBackends(ctx, plan.NewBackends, a)
	if err != nil {
		return err
	}
	plan = withoutRejected(plan, rejected)
	if err := x.changeServers(ctx, plan.Add, a); err != nil {
		return err
	}
	plan = withoutRejected(plan, a.rejectIncomplete(plan.NewBackends))
	if err := x.publish(ctx, plan.Publish, a); err != nil {
		return err
	}
	leave := a.safeToLeave(plan.Leave)
	if err := x.unpinned().changeCertificates(ctx, plan.Certificates, a); err != nil {
		return err
	}
	unswapped, err := x.swapMaps(ctx, plan.Maps, a)
	if err != nil {
		return err
	}
	leave = a.holdRouted(leave, unswapped)
	if slices.ContainsFunc(unswapped, func(m haproxy.Map) bool { return !m.HoldsValues() }) {
		plan.OldBackends = nil
	}
	if leave, err = x.postponeChecked(ctx, leave, a); err != nil {
		return err
	}
	if err := x.changeServers(ctx, leave, a); err != nil {
		return err
	}
	if err := x.removeUnmanaged(ctx, plan.RemoveUnmanaged, a); err != nil {
		return err
	}
	if err := x.deleteBackends(ctx, plan.OldBackends, a); err != nil {
		return err
	}
	return x.changeCertificates(ctx, plan.DropCertificates, a)
}

// removeUnmanaged deletes unmanaged servers. A server that has connections, or a health
// check in progress, is only set to maint, and deleted after the next Observe.
func (x exchanger) removeUnmanaged(ctx context.Context, servers []string, a *Applied) error {
	checked, err := x.stopChecks(ctx, servers, a)
	if err != nil {
		return err
	}
	var commands []string
	for _, name := range servers {
		if err := checkWord("server", name); err != nil {
			continue // HAProxy accepts no such name
		}
		if !checked[name] {
			commands = append(commands, "del server "+name)
		}
	}
	a.Commands += len(commands)
	_, err = x.exchangeAll(ctx, commands)
	return err
}

// safeToLeave returns the changes of leave, and holds the drains of backends of which a
// server was rejected: the pod that drains still serves, and nothing else may. What left
// the cluster is removed in any case.
func (a *Applied) safeToLeave(leave []haproxy.ServerChange) []haproxy.ServerChange {
	rejected := map[string]bool{}
	for _, r := range a.Rejected {
		if r.Change.Backend != nil {
			rejected[r.Change.Backend.Name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(leave), func(c haproxy.ServerChange) bool {
		held := rejected[c.Backend.Name] && c.Server.State == haproxy.Drain
		if held {
			a.Held = append(a.Held, c)
		}
		return held
	})
}

// holdRouted returns the changes of leave, and holds those of backends to which routes may
// lead only because these maps were not replaced. A backend that keeps a route loses what
// left the cluster.
func (a *Applied) holdRouted(leave []haproxy.ServerChange, unswapped []haproxy.Map) []haproxy.ServerChange {
	unswapped = slices.DeleteFunc(slices.Clone(unswapped), haproxy.Map.HoldsValues)
	if len(unswapped) == 0 {
		return leave
	}
	passes := slices.ContainsFunc(unswapped, func(m haproxy.Map) bool { return m.Name == haproxy.PassthroughMap })
	held := map[string]bool{}
	for _, c := range leave {
		name := c.Backend.Name
		if _, known := held[name]; !known {
			held[name] = (c.Backend.Policy.Mode == haproxy.HTTP || passes) &&
				!slices.ContainsFunc(unswapped, func(m haproxy.Map) bool { return m.LeadsTo(c.Backend.ProxyName()) })
		}
	}
	return slices.DeleteFunc(slices.Clone(leave), func(c haproxy.ServerChange) bool {
		if held[c.Backend.Name] {
			a.Held = append(a.Held, c)
		}
		return held[c.Backend.Name]
	})
}
