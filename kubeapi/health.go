// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"log/slog"
	"net/http"
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
	if isCredentialError(err) {
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

// health tells, once each, when a condition begins and when its last source is
// followed again.
type health struct {
	log        *slog.Logger
	server     func() string
	conditions map[source]condition // of the sources that are not fine
}

// report takes in how the last request for src ended.
func (h *health) report(src source, err error) {
	old, now := h.conditions[src], conditionOf(src, err)
	if old == now {
		return
	}
	delete(h.conditions, src)
	if now.kind == fine {
		if !h.holds(old) {
			h.ended(old)
		}
		return
	}
	if !h.holds(now) {
		h.began(now, err)
	}
	h.conditions[src] = now
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
