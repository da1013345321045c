// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"log/slog"
	"net/http"
	"slices"
	"time"

	"podgate/kubeapi/auth"
)

// condition is what keeps a source from being followed; the zero value is
// nothing. Those that concern the whole server carry no source, so that they are
// told once and not once per source.
type condition struct {
	kind conditionKind
	src  source
}

type conditionKind int

const (
	fine conditionKind = iota
	unreachable
	unauthorized
	refused
	unidentified
	overloaded
)

// conditionOf returns what err, of asking for src, says.
func conditionOf(src source, err error) condition {
	if err == nil {
		return condition{}
	}
	if auth.Unavailable(err) {
		return condition{kind: unidentified}
	}
	switch statusCode(err) {
	case http.StatusUnauthorized:
		return condition{kind: unauthorized}
	case http.StatusTooManyRequests:
		return condition{kind: overloaded}
	case http.StatusForbidden, http.StatusNotFound:
		return condition{kind: refused, src: src}
	}
	return condition{kind: unreachable}
}

// starting is how long a server that comes up may refuse a source: kube-apiserver
// answers before it has read its roles, and with 403 until then.
const starting = 10 * time.Second

// health tells, once each, when a condition begins, and when a source is followed
// again that ends it.
type health struct {
	log          *slog.Logger
	server       func() string
	conditions   map[source]condition // of the sources that are not fine
	open         []condition          // whose beginning was told, and whose end was not
	refusedSince map[source]time.Time // of the sources that a server refuses as it comes up
	board        *statusBoard         // where it stands for others to read
}

func newHealth(log *slog.Logger, server func() string) health {
	return health{
		log:          log,
		server:       server,
		conditions:   make(map[source]condition),
		refusedSince: make(map[source]time.Time),
		board:        new(statusBoard),
	}
}

// report takes in how the last request for src ended.
func (h *health) report(src source, err error) {
	old, now := h.conditions[src], conditionOf(src, err)
	if h.comesUp(src, old, now) || old == now {
		return
	}
	if now.kind == fine {
		delete(h.conditions, src)
		h.end(src)
		return
	}
	h.conditions[src] = now
	if !slices.Contains(h.open, now) {
		h.open = append(h.open, now)
		h.began(now, err)
	}
}

// comesUp reports whether src is refused because the server is not quite there
// yet: another source may have found first that it was away.
func (h *health) comesUp(src source, old, now condition) bool {
	since, known := h.refusedSince[src]
	if now.kind != refused || old.kind == refused || !known && !h.holds(condition{kind: unreachable}) {
		delete(h.refusedSince, src)
		return false
	}
	if !known {
		h.refusedSince[src] = time.Now()
		return true
	}
	return time.Since(since) < starting
}

// end tells the end of what cannot hold any more once src is followed.
func (h *health) end(src source) {
	h.open = slices.DeleteFunc(h.open, func(c condition) bool {
		over := !h.holds(c) && (c.src == source{} || c.src == src)
		if over {
			h.ended(c)
		}
		return over
	})
}

// holds reports whether c is the condition of any source.
func (h *health) holds(c condition) bool {
	for _, other := range h.conditions {
		if other == c {
			return true
		}
	}
	return false
}

func (h *health) began(c condition, err error) {
	h.board.began(c, err)
	switch c.kind {
	case unreachable:
		h.log.Warn("API server unreachable", "server", h.server(), "err", err)
	case unauthorized:
		h.log.Error("API server refuses the credentials", "server", h.server(), "err", err)
	case overloaded:
		h.log.Warn("API server overloaded", "server", h.server(), "err", err)
	case unidentified:
		h.log.Error("credentials unavailable", "server", h.server(), "err", err)
	case refused:
		h.log.Error("API server refuses a list", "server", h.server(), "err", err)
	}
}

func (h *health) ended(c condition) {
	h.board.ended(c)
	switch c.kind {
	case unreachable:
		h.log.Info("API server reachable", "server", h.server())
	case unauthorized:
		h.log.Info("API server accepts the credentials", "server", h.server())
	case overloaded:
		h.log.Info("API server no longer overloaded", "server", h.server())
	case unidentified:
		h.log.Info("credentials available", "server", h.server())
	case refused:
		h.log.Info("API server allows the list", "server", h.server(), "op", "list "+c.src.String())
	}
}
