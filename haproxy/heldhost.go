// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"slices"
	"strings"
)

// HeldHost is a host that belongs to one namespace. A request for it that no Route
// with this Host matches is not passed to Routes of other namespaces: neither to those
// of a wildcard that another namespace holds, nor to those without a Host. Routes with a
// Listener are not limited.
type HeldHost struct {
	Host      HostPattern // a wildcard is held without the hosts that are held themselves
	Namespace string
	// EveryPath lets Routes without a Host match in every namespace, because grants
	// decide who may have such a Route.
	EveryPath bool
}

// heldMark is the first field of the value of a held host in a routes map,
// "!held|NAMESPACE|WITHIN". The rest of the request is looked up under WITHIN: "*", or
// withinMark and the namespace, under which its Routes without a Host are found.
const (
	heldMark    = "!held"
	withinMark  = "@"
	WithinField = 3 // of such a value
)

// HeldPrefix is how the value of a held host in a routes map begins.
const HeldPrefix = heldMark + "|"

func (h HeldHost) within() string {
	if h.EveryPath {
		return "*"
	}
	return withinMark + h.Namespace
}

func (h HeldHost) entry() MapEntry {
	return MapEntry{Key: string(h.Host) + "/", Value: HeldPrefix + h.Namespace + "|" + h.within()}
}

// isHeld reports whether an entry of a routes map is that of a held host.
func (e MapEntry) isHeld() bool { return strings.HasPrefix(e.Value, HeldPrefix) }

// Holder returns the namespace that holds a host, which may be that of its wildcard;
// "" for none.
func (s State) Holder(host HostPattern) string {
	if h, ok := s.held(host); ok {
		return h.Namespace
	}
	h, _ := s.held(host.Wildcard())
	return h.Namespace
}

func (s State) held(host HostPattern) (HeldHost, bool) {
	i, ok := slices.BinarySearchFunc(s.HeldHosts, host, func(h HeldHost, p HostPattern) int { return cmp.Compare(h.Host, p) })
	if !ok {
		return HeldHost{}, false
	}
	return s.HeldHosts[i], true
}

// closesZone reports whether a held host must not be looked up by its wildcard, which
// another namespace holds, or may hold later.
func (s State) closesZone(h HeldHost) bool {
	zone, ok := s.held(h.Host.Wildcard())
	return !ok || zone.Namespace != h.Namespace
}

// confine returns the patterns under which a request for a host is looked up, and the
// HeldHost that limits the Routes without a Host; its zero value does not.
func (s State) confine(host HostPattern) ([]HostPattern, HeldHost) {
	patterns := host.Patterns()
	for i, p := range patterns {
		h, held := s.held(p)
		if held && p != "" && (h.Host.rank() != exactRank || s.closesZone(h)) {
			return append(slices.Clip(patterns[:i+1]), ""), h
		}
	}
	return patterns, HeldHost{}
}

// heldEntries adds the entries for HeldHosts to the plain routes map of each frontend, and
// for the Routes without a Host of the namespaces that hold hosts. A host with a Route for
// every path needs no entry.
func (s State) heldEntries(add func(name string, e MapEntry)) {
	if len(s.HeldHosts) == 0 {
		return
	}
	type side struct {
		tls  bool
		host HostPattern
	}
	whole := map[side]bool{}
	for _, r := range s.Routes {
		if r.Path == "" {
			whole[side{r.TLS, r.Host}] = true
		}
	}
	holds := s.namespacesThatHold()
	for _, h := range s.HeldHosts {
		if h.Host.rank() == exactRank && !s.closesZone(h) {
			continue
		}
		for _, tls := range []bool{false, true} {
			if name := (Route{TLS: tls}).routesMap(); s.looksUp(name) && !whole[side{tls, h.Host}] {
				add(name, h.entry())
			}
		}
	}
	for _, r := range s.Routes {
		if r.Host == "" && holds[r.Namespace] {
			e := r.entry()
			e.Key = withinMark + r.Namespace + strings.TrimPrefix(e.Key, "*")
			add(r.routesMap(), e)
		}
	}
}

// namespacesThatHold are the namespaces whose Routes without a Host have entries of their
// own.
func (s State) namespacesThatHold() map[string]bool {
	holds := map[string]bool{}
	for _, h := range s.HeldHosts {
		if !h.EveryPath {
			holds[h.Namespace] = true
		}
	}
	return holds
}

// heldValues returns the values of the HeldHosts that need an entry.
func (s State) heldValues() map[zone]string {
	values := map[zone]string{}
	for _, h := range s.HeldHosts {
		if h.Host.rank() == exactRank && !s.closesZone(h) {
			continue
		}
		for _, tls := range []bool{false, true} {
			if s.looksUp(Route{TLS: tls}.routesMap()) {
				values[zone{tls: tls, host: string(h.Host)}] = h.entry().Value
			}
		}
	}
	return values
}

// parseHeldHosts returns the HeldHosts that have entries in maps, sorted.
func parseHeldHosts(maps []Map) []HeldHost {
	var held []HeldHost
	for _, m := range maps {
		for _, e := range m.Entries {
			if !isRoutesMap(m.Name) {
				continue
			}
			if fields := strings.SplitN(e.Value, "|", RestField); e.isBucket() && len(fields) == RestField {
				e.Value = fields[RestField-1]
				e.Key, _, _ = strings.Cut(e.Key, "/")
			}
			if !e.isHeld() {
				continue
			}
			if fields := strings.Split(e.Value, "|"); len(fields) == WithinField {
				held = append(held, HeldHost{HostPattern(strings.TrimSuffix(e.Key, "/")), fields[1], fields[WithinField-1] == "*"})
			}
		}
	}
	slices.SortFunc(held, func(a, b HeldHost) int { return cmp.Compare(a.Host, b.Host) })
	return slices.CompactFunc(held, func(a, b HeldHost) bool { return a.Host == b.Host })
}

// Confine returns the lookups that a frontend does instead of these, which Lookups
// returned, because one of them found a held host. The lookups without Found are new.
// It returns false if no lookup found a held host.
func Confine(lookups []Lookup) ([]Lookup, bool) {
	i := slices.IndexFunc(lookups, func(l Lookup) bool { return l.Found.isHeld() })
	if i < 0 {
		return lookups, false
	}
	fields := strings.Split(lookups[i].Found.Value, "|")
	exact := !strings.HasPrefix(lookups[i].Found.Key, "*.")
	var confined []Lookup
	for j, l := range lookups {
		if j == i || exact && strings.HasPrefix(l.Key, "*.") {
			continue
		}
		if rest, everyHost := strings.CutPrefix(l.Key, "*/"); everyHost && len(fields) == WithinField {
			l = Lookup{Map: l.Map, Key: fields[WithinField-1] + "/" + rest}
		}
		confined = append(confined, l)
	}
	return confined, true
}
