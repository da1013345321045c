// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"log/slog"
	"time"

	"podgate/daemon/confdir"
	"podgate/haproxy"
)

// relistInterval is how long the guard waits for a list before it requests
// another one.
const relistInterval = 10 * time.Second

// Limits say which removals are too large. They are [safety] of podgate.toml.
type Limits struct {
	MaxRemoval int           // percent of the servers, or of the backends with servers, that one change may remove; 100 holds nothing
	FromCount  int           // how many of them there must be for MaxRemoval to count
	HoldTime   time.Duration // how long a removal is held before the cluster is listed again
}

func (l Limits) exceeded(loss haproxy.Loss) bool {
	over := func(lost, of int) bool { return of >= l.FromCount && lost*100 > of*l.MaxRemoval }
	return over(loss.Servers, loss.OfServers) || over(loss.Backends, loss.OfBackends)
}

// Guard holds the removal of most servers, or of most Services: such a removal may come
// from an API server that lost its data, a control plane that lost contact with its
// nodes, or a wrong selector. Additions are applied meanwhile. The guard releases the
// removal when Limits.HoldTime has passed and a later complete list of the cluster still
// lacks the same objects, or when an operator confirms it. It may not be used
// concurrently.
type Guard struct {
	limits Limits
	dir    confdir.Dir
	log    *slog.Logger
	now    func() time.Time

	base     haproxy.State // the State that Hold returned last; valid only if begun
	begun    bool
	lists    int           // complete lists so far
	complete int           // the last argument of CountList
	released bool          // the next Hold holds nothing
	held     haproxy.State // the servers and backends that Hold adds to the wanted State
	hold     *hold         // nil while nothing is held
}

// hold is the removal that is held.
type hold struct {
	loss  haproxy.Loss
	since time.Time
	until time.Time // when the cluster is to be listed again
	asked time.Time // when WantsList returned true last; zero before
	lists int       // Guard.lists at that time
}

// New returns a Guard that does not know yet what is in service.
func New(limits Limits, dir confdir.Dir, now func() time.Time, log *slog.Logger) *Guard {
	return &Guard{limits: limits, dir: dir, now: now, log: log}
}

// SetLimits replaces the limits. A hold that began keeps its time.
func (g *Guard) SetLimits(l Limits) { g.limits = l }

// Begun reports whether Begin was called.
func (g *Guard) Begun() bool { return g.begun }

// Begin sets the State that was in service when podgate started.
func (g *Guard) Begin(serving haproxy.State) { g.base, g.begun = serving, true }

// CountList counts the complete lists. complete is Snapshot.Complete, which starts
// again with each connection to an API server.
func (g *Guard) CountList(complete int) {
	if complete != g.complete {
		g.lists++
		g.complete = complete
	}
}

// Accept sets the State that the same cluster compiles to after podgate.toml changed.
// What that State removes is intended. A removal that is held stays held.
func (g *Guard) Accept(after haproxy.State) {
	if g.begun {
		g.base = after.With(g.held)
	}
}

// Release makes the next Hold hold nothing, because podgate.toml names another cluster
// or selects other Services.
func (g *Guard) Release() { g.released = true }

// Hold returns want with the servers and backends that must not be removed yet.
func (g *Guard) Hold(want haproxy.State) haproxy.State {
	var missing haproxy.State
	loss := haproxy.LossAtMost(g.base, want) // an upper bound, which is cheaper
	if g.limits.exceeded(loss) {
		missing, loss = haproxy.Missing(g.base, want)
	}
	switch reason := g.releaseReason(loss); {
	case reason == "":
		g.begin(loss)
		g.held = missing
		want = want.With(missing)
	case g.hold != nil:
		g.end(reason)
	}
	g.base, g.released = want, false
	return want
}

// releaseReason is why a loss is not held; "" if it is held.
func (g *Guard) releaseReason(loss haproxy.Loss) string {
	h := g.hold
	switch {
	case !g.limits.exceeded(loss):
		return "nothing is missing any more"
	case g.released:
		return "podgate.toml selects other Services"
	case h == nil:
		return ""
	case g.dir.Confirmed(h.since):
		return "confirmed"
	case !h.asked.IsZero() && g.lists > h.lists:
		return fmt.Sprintf("held for %s and still missing from a new list", g.now().Sub(h.since).Round(time.Second))
	}
	return ""
}

// begin holds a loss, and logs that when it begins. The loss may change while it is held.
func (g *Guard) begin(loss haproxy.Loss) {
	now := g.now()
	switch {
	case g.hold == nil:
		g.hold = &hold{loss: loss, since: now, until: now.Add(g.limits.HoldTime)}
		g.log.Warn("removal is held", "reason", loss.String()+" would be removed (podgate confirm removes them now)", "until", g.hold.until.Format(time.RFC3339))
	case g.hold.loss == loss:
		return
	}
	g.hold.loss = loss
	if err := g.dir.WriteHeld(confdir.Held{Since: g.hold.since, Until: g.hold.until, Loss: loss}); err != nil {
		g.log.Warn("podgate confirm cannot show the removal that is held", "err", err)
	}
}

func (g *Guard) end(reason string) {
	g.log.Info("removal is no longer held", "reason", reason)
	g.hold, g.held = nil, haproxy.State{}
	if err := g.dir.RemoveHeld(); err != nil {
		g.log.Warn("file of a removal that is no longer held remains", "err", err)
	}
}

// WantsList reports whether the cluster must be listed now, to decide on the removal. It
// returns true once for each list that is needed.
func (g *Guard) WantsList() bool {
	h, now := g.hold, g.now()
	if h == nil || now.Before(g.Next()) {
		return false
	}
	h.asked, h.lists = now, g.lists
	return true
}

// Next returns when WantsList becomes true; zero while no removal is held.
func (g *Guard) Next() time.Time {
	switch h := g.hold; {
	case h == nil:
		return time.Time{}
	case h.asked.IsZero():
		return h.until
	default:
		return h.asked.Add(relistInterval)
	}
}

// Removal returns the removal that is held; nil for none.
func (g *Guard) Removal() *Removal {
	if g.hold == nil {
		return nil
	}
	r := &Removal{Since: g.hold.since, Until: g.hold.until, Loss: g.hold.loss, Servers: make(map[string]int, g.held.Backends.Len())}
	for _, b := range g.held.Backends.All() {
		r.Servers[b.Name] = len(b.Servers)
	}
	return r
}
