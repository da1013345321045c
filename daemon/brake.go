// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"log/slog"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/haproxy"
)

// askAgain is how long we wait for a list before we ask for it again.
const askAgain = 10 * time.Second

// brake holds a removal that is too large to be believed at once: most of the
// servers, or most of the Services. An API server that lost its memory, a
// control plane that no longer hears its nodes and a mistaken selector look like
// that. What is added goes through meanwhile. The removal is carried out when it
// was held for a time and a complete list of after that still says so, or when
// an operator confirms it.
type brake struct {
	safety config.Safety
	folder confdir.Dir
	log    *slog.Logger

	base  haproxy.State // what was let through last; of meaning only if known
	known bool
	lists int           // complete lists so far
	count int           // Snapshot.Complete of the last of them
	free  bool          // the next State is the operator's will
	held  haproxy.State // what is kept back now, beside what the cluster wants
	hold  *hold         // nil while nothing is kept back
}

// hold is one removal that is kept back.
type hold struct {
	loss  haproxy.Loss
	since time.Time
	until time.Time // when the cluster is to be listed again
	asked time.Time // when it was asked to be; zero before
	lists int       // complete lists there were then
}

func newBrake(c *config.Config, log *slog.Logger) brake {
	return brake{safety: c.Safety, folder: confdir.Dir(c.HAProxy.Folder), log: log}
}

// saw counts the complete lists. Complete is that of a Snapshot; it begins anew
// with each follower.
func (b *brake) saw(complete int) {
	if complete != b.count {
		b.lists++
		b.count = complete
	}
}

// start says what is in service when podgate begins.
func (b *brake) start(serving haproxy.State) { b.base, b.known = serving, true }

// willed takes what a new podgate.toml makes of the same cluster: what it takes
// away is no loss. What is held stays so.
func (b *brake) willed(after haproxy.State) {
	if b.known {
		b.base = after.With(b.held)
	}
}

// release lets the next State through whatever it lacks: podgate.toml names
// another cluster, or other Services of it.
func (b *brake) release() { b.free = true }

// brake returns want, with what must not go yet beside it.
func (b *brake) brake(want haproxy.State) haproxy.State {
	var missing haproxy.State
	loss := haproxy.LossAtMost(b.base, want) // which costs less to know than what it is
	if b.tooMuch(loss) {
		missing, loss = haproxy.Missing(b.base, want)
	}
	switch reason := b.passes(loss); {
	case reason == "":
		b.begin(loss)
		b.held = missing
		want = want.With(missing)
	case b.hold != nil:
		b.end(reason)
	}
	b.base, b.free = want, false
	return want
}

// passes says why a loss is not held, "" where it is.
func (b *brake) passes(loss haproxy.Loss) string {
	h := b.hold
	switch {
	case !b.tooMuch(loss):
		return "what was missing is back"
	case b.free:
		return "podgate.toml asks for other Services"
	case h == nil:
		return ""
	case b.folder.Confirmed(h.since):
		return "confirmed"
	case !h.asked.IsZero() && b.lists > h.lists:
		return fmt.Sprintf("held for %s and listed again", time.Since(h.since).Round(time.Second))
	}
	return ""
}

func (b *brake) tooMuch(l haproxy.Loss) bool {
	share := func(lost, of int) bool { return of >= b.safety.FromCount && lost*100 > of*b.safety.MaxRemoval }
	return share(l.Servers, l.OfServers) || share(l.Backends, l.OfBackends)
}

// begin holds what would go, and tells it when that begins. How much it is may
// change later: heldFile follows.
func (b *brake) begin(loss haproxy.Loss) {
	now := time.Now()
	switch {
	case b.hold == nil:
		b.hold = &hold{loss: loss, since: now, until: now.Add(b.safety.HoldTime)}
		b.log.Warn("removal is held", "reason", loss.String()+" would go at once (podgate confirm lets them go now)", "until", b.hold.until.Format(time.RFC3339))
	case b.hold.loss == loss:
		return
	}
	b.hold.loss = loss
	if err := b.folder.WriteHeld(confdir.Held{Since: b.hold.since, Until: b.hold.until, Loss: b.hold.loss}); err != nil {
		b.log.Warn("podgate confirm cannot be told what is held", "err", err)
	}
}

func (b *brake) end(reason string) {
	b.log.Info("removal is no longer held", "reason", reason)
	b.hold, b.held = nil, haproxy.State{}
	if err := b.folder.RemoveHeld(); err != nil {
		b.log.Warn("what was held is left behind", "err", err)
	}
}

// wantsList reports whether it is time for the list that decides, and takes it
// for asked.
func (b *brake) wantsList() bool {
	h := b.hold
	now := time.Now()
	if h == nil || now.Before(h.until) || !h.asked.IsZero() && now.Before(h.asked.Add(askAgain)) {
		return false
	}
	h.asked, h.lists = now, b.lists
	return true
}

// next is when there is something to decide; zero while there is not.
func (b *brake) next() time.Time {
	switch h := b.hold; {
	case h == nil:
		return time.Time{}
	case h.asked.IsZero():
		return h.until
	default:
		return h.asked.Add(askAgain)
	}
}

// keeps is what is kept back; nil while nothing is.
func (b *brake) keeps() *admin.Held {
	if b.hold == nil {
		return nil
	}
	h := &admin.Held{Since: b.hold.since, Until: b.hold.until, Loss: b.hold.loss, Servers: make(map[string]int, b.held.Backends.Len())}
	for _, backend := range b.held.Backends.All() {
		h.Servers[backend.Name] = len(backend.Servers)
	}
	return h
}

// status is for the line of systemctl status; "" while nothing is held.
func (b *brake) status() string {
	if b.hold == nil {
		return ""
	}
	return fmt.Sprintf("holds the removal of %s until %s, see podgate confirm", b.hold.loss, b.hold.until.Format(time.TimeOnly))
}
