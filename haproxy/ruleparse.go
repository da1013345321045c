// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

func (e MapEntry) isBucket() bool { return strings.HasPrefix(e.Value, BucketPrefix) }
func (e MapEntry) isRule() bool   { return strings.HasPrefix(e.Value, RulePrefix) }

// ruleIndex is the content of RulesMap and of the ConditionsMaps.
type ruleIndex struct {
	rules   map[string]string // by ID
	buckets map[string][]MapEntry
}

func indexRules(maps ...[]Map) ruleIndex {
	x := ruleIndex{map[string]string{}, map[string][]MapEntry{}}
	for _, list := range maps {
		for _, m := range list {
			switch {
			case m.Name == RulesMap:
				for _, e := range m.Entries {
					x.rules[e.Key] = e.Value
				}
			case isConditionsMap(m.Name):
				x.addConditions(m.Entries)
			}
		}
	}
	return x
}

// addConditions adds the entries of one shard. A bucket has the same in every shard.
func (x ruleIndex) addConditions(entries []MapEntry) {
	found := map[string][]MapEntry{}
	for _, e := range entries {
		if id := e.bucketID(); id != "" {
			found[id] = append(found[id], e)
		}
	}
	for id, own := range found {
		x.buckets[id] = own
	}
}

// bucketID is the ID in the key of an entry of a ConditionsMap; "" for another entry.
func (e MapEntry) bucketID() string {
	rest, ok := strings.CutPrefix(e.Key, bucketPattern)
	if !ok || len(rest) < idLen {
		return ""
	}
	return rest[:idLen]
}

// splitBucket returns the IDs of the buckets that a value lists, the value that is used
// if no condition is met, and whether that belongs to the same place.
func splitBucket(value string) (ids []string, rest string, own bool) {
	fields := strings.SplitN(value, "|", RestField)
	if len(fields) < IDField || fields[IDField-1] == "" {
		return nil, "", false
	}
	list := fields[IDField-1]
	own = list[0] >= 'a'
	for list = list[1:]; len(list) >= idLen; list = list[idLen:] {
		ids = append(ids, list[:idLen])
	}
	if len(fields) == RestField {
		rest = fields[RestField-1]
	}
	return ids, rest, own
}

// ruleID is the ID in a value "!rule|RANK|ID|ORDER...".
func ruleID(value string) string {
	fields := strings.SplitN(value, "|", IDField+1)
	if len(fields) < IDField {
		return ""
	}
	return fields[IDField-1]
}

// uses calls use for each ID of a rule or a bucket that a value leads to.
func (x ruleIndex) uses(value string, use func(id string)) {
	e := MapEntry{Value: value}
	switch {
	case e.isRule():
		use(ruleID(value))
	case e.isBucket():
		ids, rest, _ := splitBucket(value)
		for _, id := range ids {
			use(id)
			for _, c := range x.buckets[id] {
				use(ruleID(c.Value))
			}
		}
		x.uses(rest, use)
	}
}

// backends returns the backends that a value of a routes map leads to.
func (x ruleIndex) backends(e MapEntry) []string {
	if e.isHeld() || e.Value == TerminateHere {
		return nil
	}
	if !e.isBucket() && !e.isRule() {
		return []string{e.backend()}
	}
	var names []string
	x.uses(e.Value, func(id string) { names = append(names, ruleBackends(x.rules[id])...) })
	if _, rest, _ := splitBucket(e.Value); e.isBucket() && rest != "" {
		if last := (MapEntry{Value: rest}); !last.isRule() {
			names = append(names, x.backends(last)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ruleBackends returns the backends in a value of RulesMap.
func ruleBackends(value string) []string {
	fields := strings.Split(value, "|")
	if len(fields) < ruleActionsField {
		return nil
	}
	if name := fields[RuleBackendField-1]; name != "" {
		return []string{name}
	}
	var names []string
	for i, target := range strings.Split(fields[RuleTargetsField-1], ";") {
		if name, _, _ := strings.Cut(target, TargetDelimiter); i%2 == 1 && name != "" {
			names = append(names, name)
		}
	}
	return names
}

// withRule returns the Route with what a value of RulesMap does.
func (r Route) withRule(value string) (Route, bool) {
	fields := strings.Split(value, "|")
	if len(fields) != ruleActionsField {
		return Route{}, false
	}
	r.Backend = fields[RuleBackendField-1]
	if text := fields[ruleActionsField-1]; text != "" {
		r.Actions = &Actions{}
		if !decodeJSON(text, r.Actions) {
			return Route{}, false
		}
	}
	if strings.Contains(fields[RuleFlagsField-1], RewritesFlag) && (r.Actions == nil || r.Actions.Location == nil) {
		to, err := url.PathUnescape(fields[RuleNewPathField-1])
		if err != nil {
			return Route{}, false
		}
		if r.Rewrite = Rewrite(to); to == "" {
			r.Rewrite = "/"
		}
	}
	return r, true
}

// ofValue returns the Routes of a place that a value leads to.
func (x ruleIndex) ofValue(at Route, name string, e MapEntry) []Route {
	switch {
	case e.isRule():
		fields := strings.Split(e.Value, "|")
		r, ok := at.withRule(x.rules[ruleID(e.Value)])
		if !ok || len(fields) <= IDField {
			return nil
		}
		r.Order, _ = strconv.Atoi(fields[IDField])
		if len(fields) > IDField+1 {
			r.Conditions = &Conditions{}
			ok = decodeJSON(fields[IDField+1], r.Conditions)
		}
		if !ok {
			return nil
		}
		return []Route{r}
	case e.isBucket():
		ids, rest, own := splitBucket(e.Value)
		var routes []Route
		if len(ids) > 0 {
			for _, c := range x.buckets[ids[0]] {
				routes = append(routes, x.ofValue(at, name, c)...)
			}
		}
		if own {
			for _, r := range x.ofValue(at, name, MapEntry{e.Key, rest}) {
				if len(routes) > 0 && r.Actions == nil {
					r.Order = routes[len(routes)-1].Order + 1
				}
				routes = append(routes, r)
			}
		}
		return routes
	}
	fields := strings.Split(e.Value, "|")
	if e.isHeld() || len(fields) < RankField {
		return nil
	}
	at.fill(fields)
	return []Route{at}
}

// placeOf returns the place of an entry of a map, as a Route, and the entry without its
// Listener.
func placeOf(name string, e MapEntry) (Route, MapEntry, bool) {
	at := Route{Exact: name == ExactRoutesMap || name == ExactTLSRoutesMap}
	if rest, ok := strings.CutPrefix(e.Key, hostDelimiter); ok {
		listener, rest, _ := strings.Cut(rest, hostDelimiter)
		addr, ok := ParseServerName(listener)
		if !ok {
			return Route{}, MapEntry{}, false
		}
		at.Listener, e.Key = addr, rest
	}
	host, path, ok := strings.Cut(e.Key, "/")
	if !ok || host == "" {
		return Route{}, MapEntry{}, false
	}
	at.Path = PathPrefix("/" + path)
	if !at.Exact {
		at.Path = PathPrefix(strings.TrimSuffix(string(at.Path), "/"))
	}
	at.TLS = name == TLSRoutesMap || name == FoldedTLSRoutesMap || name == ExactTLSRoutesMap
	at.FoldCase = name == FoldedRoutesMap || name == FoldedTLSRoutesMap
	at.Host = HostPattern(host)
	if namespace, within := strings.CutPrefix(host, withinMark); within {
		at.Host, at.Namespace = "", namespace
	}
	if host == "*" {
		at.Host = ""
	}
	return at, e, true
}
