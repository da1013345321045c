// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"slices"
)

// A request must never meet a value of a routes map whose rule or bucket is not there. As
// an ID stands for one content for ever, the Plan first adds the new IDs to RulesMap and
// the ConditionsMaps, and keeps those that the present values lead to. Entries that no
// value leads to any more do nothing. They stay until the next change of their map, or
// until there are many.

// isRulesMap reports whether a map has the content of IDs.
func isRulesMap(name string) bool { return name == RulesMap || isConditionsMap(name) }

// namedEntries returns the entries of the map of that name.
func namedEntries(maps []Map, name string) []MapEntry {
	for _, m := range maps {
		if m.Name == name {
			return m.Entries
		}
	}
	return nil
}

// usedIDs returns the IDs that values of routes maps lead to.
func (x ruleIndex) usedIDs(lists ...[]Map) map[string]bool {
	used := map[string]bool{}
	for _, maps := range lists {
		for _, m := range maps {
			if !isRoutesMap(m.Name) {
				continue
			}
			for _, e := range m.Entries {
				x.uses(e.Value, func(id string) { used[id] = true })
			}
		}
	}
	return used
}

// diffRules returns the maps with IDs to replace before the maps in changed.
func diffRules(have Running, want, changed []Map, x ruleIndex) []Map {
	after := slices.Clone(changed)
	for _, m := range have.Maps {
		if isRoutesMap(m.Name) && !slices.ContainsFunc(changed, func(c Map) bool { return c.Name == m.Name }) {
			after = append(after, m)
		}
	}
	lists := [][]Map{after}
	if slices.ContainsFunc(changed, func(m Map) bool { return isRoutesMap(m.Name) }) {
		lists = append(lists, have.Maps)
	}
	used := x.usedIDs(lists...)
	var maps []Map
	for _, m := range want {
		if !isRulesMap(m.Name) || have.AtReload[Part{Map: m.Name}] != "" {
			continue
		}
		present := namedEntries(have.Maps, m.Name)
		if slices.Equal(present, m.Entries) {
			continue
		}
		m.Entries = withUsed(m, present, used)
		if !slices.Equal(present, m.Entries) && !isSubsequence(m.Entries, present) {
			maps = append(maps, m)
		}
	}
	return maps
}

// withUsed returns the entries of m and those of present that are in use.
func withUsed(m Map, present []MapEntry, used map[string]bool) []MapEntry {
	keys := make(map[string]bool, len(m.Entries))
	for _, e := range m.Entries {
		keys[e.Key] = true
	}
	entries := slices.Clip(m.Entries)
	for _, e := range present {
		id := e.Key
		if m.Ordered() {
			id = e.bucketID()
		}
		if used[id] && !keys[e.Key] {
			entries = append(entries, e)
		}
	}
	if !m.Ordered() {
		slices.SortFunc(entries, compareKeys)
	}
	return entries
}

// isSubsequence reports whether long has all entries of short in the same order, and not
// many more.
func isSubsequence(short, long []MapEntry) bool {
	const few = 16
	if len(long)-len(short) > len(short)/4+few {
		return false
	}
	i := 0
	for _, e := range long {
		if i < len(short) && e == short[i] {
			i++
		}
	}
	return i == len(short)
}

// hasHeaders reports whether the loaded configuration has lines for all headers that the
// rules of a value change.
func (x ruleIndex) hasHeaders(loaded State, value string) bool {
	has := true
	x.uses(value, func(id string) {
		for _, name := range ruleHeaderNames(x.rules[id]) {
			_, found := slices.BinarySearch(loaded.HeaderNames, name)
			has = has && found
		}
	})
	return has
}

// lacks reports whether HAProxy cannot have the content of an ID that a value leads to,
// because a map with IDs is left to a reload.
func (x ruleIndex) lacks(have Running, value string) bool {
	left := false
	for p := range have.AtReload {
		left = left || isRulesMap(p.Map)
	}
	if !left {
		return false
	}
	present := indexRules(have.Maps)
	lacks := false
	x.uses(value, func(id string) {
		_, isRule := present.rules[id]
		_, isBucket := present.buckets[id]
		lacks = lacks || !isRule && !isBucket
	})
	return lacks
}
