// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// A bucket is the Routes with Conditions of one place: one frontend, Listener, Host and
// path. HAProxy tries the conditions of several buckets together: of those that the
// values list which it found, from the most special host pattern down. A value that lists
// buckets also lists those of shorter prefixes, down to the next Route without Conditions,
// so that one lookup of a host pattern is enough.
//
// The ID of a bucket is a hash of its place and content. A change of the conditions is a
// new bucket, which requests reach when the routes map is replaced.

// zone is the places of one host pattern.
type zone struct {
	tls      bool
	listener string // the text before the host in the keys, see ListenersMap
	host     string // of the keys: "*" for every host, "@shop" for those of a namespace
}

// place is what Routes have in common that differ in Conditions only.
type place struct {
	zone
	path  PathPrefix
	exact bool
}

// bucket is the Routes of a place, by Order, up to the first without Conditions.
type bucket struct {
	place
	rank    int
	routes  []Route
	id      string     // "" if no Route has Conditions
	entries []MapEntry // of a ConditionsMap
}

// final returns the Route without Conditions.
func (b *bucket) final() (Route, bool) {
	last := b.routes[len(b.routes)-1]
	return last, last.Conditions == nil
}

// listenerPrefix is the text before the host in the keys of the Routes of a Listener. No
// Host contains its last character: HAProxy rejects it.
func (r Route) listenerPrefix() string {
	if !r.Listener.IsValid() {
		return ""
	}
	return hostDelimiter + ServerName(r.Listener) + hostDelimiter
}

const hostDelimiter = "|"

func (r Route) zone() zone { return zone{r.TLS, r.listenerPrefix(), string(cmp.Or(r.Host, "*"))} }

func (r Route) rank() int { return r.Host.rank()*routeRank + len(r.Path) }

// key is the key in the routes map of the place.
func (p place) key() string {
	key := p.listener + p.host + string(p.path)
	if p.exact {
		return key
	}
	return key + "/"
}

func (p place) mapName() string {
	switch {
	case p.exact && p.tls:
		return ExactTLSRoutesMap
	case p.exact:
		return ExactRoutesMap
	}
	return Route{TLS: p.tls}.routesMap()
}

// covers reports whether every request of o is one of p, for places of one zone.
func (p place) covers(o place) bool {
	return p == o || !p.exact && p.path.Matches(string(o.path))
}

// meets reports whether a request can be one of both places, whatever their zones.
func (p place) meets(o place) bool {
	o.zone = p.zone
	return p.covers(o) || o.covers(p)
}

// program is the Routes of a State by their places.
type program struct {
	zones  map[zone][]*bucket // by precedence
	folded map[zone][]Route   // with FoldCase, the longest path first
}

func (s State) program() program {
	p := program{map[zone][]*bucket{}, map[zone][]Route{}}
	places := map[place]*bucket{}
	holds := s.namespacesThatHold()
	add := func(z zone, r Route) {
		if r.FoldCase {
			p.folded[z] = append(p.folded[z], r)
			return
		}
		at := place{z, r.Path, r.Exact}
		b := places[at]
		if b == nil {
			b = &bucket{place: at, rank: r.rank()}
			places[at] = b
			p.zones[z] = append(p.zones[z], b)
		} else if _, ends := b.final(); ends {
			return
		}
		b.routes = append(b.routes, r)
	}
	for _, r := range s.Routes { // by Order within one place
		if r.Passthrough {
			continue
		}
		add(r.zone(), r)
		if z := r.zone(); r.Host == "" && holds[r.Namespace] {
			z.host = withinMark + r.Namespace
			add(z, r)
		}
	}
	for _, buckets := range p.zones {
		slices.SortFunc(buckets, func(a, b *bucket) int { return byPrecedence(a.routes[0], b.routes[0]) })
		for _, b := range buckets {
			b.build()
		}
	}
	for _, routes := range p.folded {
		slices.SortFunc(routes, byPrecedence)
	}
	return p
}

// build makes the ID and the entries.
func (b *bucket) build() {
	var lines []MapEntry
	content := []string{strconv.FormatBool(b.tls), b.key(), b.mapName()}
	for _, r := range b.routes {
		if r.Conditions == nil {
			break
		}
		if !r.conditionsFit() {
			continue
		}
		e := MapEntry{r.Conditions.pattern(), r.ruleValue() + "|" + encodeJSON(r.Conditions)}
		lines = append(lines, e)
		content = append(content, e.Key, e.Value)
	}
	if len(lines) == 0 {
		return
	}
	b.id = hashID(content...)
	known := map[string]bool{}
	for _, e := range lines {
		e.Key = bucketPattern + b.id + e.Key
		if !known[e.Key] { // the first of two equal conditions is met
			known[e.Key] = true
			b.entries = append(b.entries, e)
		}
	}
}

// bucketPattern is before the ID in the regular expression of an entry. The subject is
// the IDs of the buckets, the method, the path and the query with a "&" of a request, each
// with a newline, and its headers: HTTP does not allow a newline in any of them.
const bucketPattern = `^.*?`

// pattern is the regular expression of the conditions, after the ID.
func (c *Conditions) pattern() string {
	const line = `.*+\n`
	text := line
	if c.Method == "" {
		text += line
	} else {
		text += quotePCRE(c.Method) + `\n`
	}
	if c.Path == "" {
		text += line
	} else {
		text += `(?!\n)` + c.Path.Until('\n') + `\n`
	}
	for _, q := range c.Query {
		name := quoteQuery(q.Name, "&=")
		value := quoteQuery(q.Value, "&")
		if q.Regexp != "" {
			value = q.Regexp.Until('&')
		}
		// The parameters before it have other names.
		text += `(?=(?:(?!` + name + `[=&])[^&\n]*+&)*+` + name + `(?:=|(?=&))` + value + `&)`
	}
	text += `.*+`
	for _, h := range c.Headers {
		value := quotePCRE(h.Value)
		if h.Regexp != "" {
			value = h.Regexp.Until('\r')
		}
		text += `(?=(?:\n.*+)*?\n` + quotePCRE(h.Name) + `:\x20` + value + `\r)`
	}
	return text
}

// find returns the buckets to try for a request of a place, and the Route that it takes if
// no condition is met; false if this zone has none.
func (p program) find(b *bucket) (try []*bucket, last Route, ok bool) {
	fold := p.folded[b.zone]
	folded := func(longerThan int) (Route, bool) {
		for _, r := range fold {
			if len(r.Path) > longerThan && len(r.Path) <= len(b.path) && r.Path.Matches(strings.ToLower(string(b.path))) {
				return r, true
			}
		}
		return Route{}, false
	}
	for _, o := range p.zones[b.zone] {
		if !o.covers(b.place) {
			continue
		}
		if r, ok := folded(len(o.path)); ok && !o.exact {
			return try, r, true
		}
		if o.id != "" {
			try = append(try, o)
		}
		if r, ok := o.final(); ok {
			return try, r, true
		}
	}
	last, ok = folded(-1)
	return try, last, ok
}

// shardOf returns the shard of the values of a place.
func (p place) shardOf() int {
	return int(hashID(p.listener, p.host, string(p.path))[0]) % ConditionsShards
}

// shardLetter is the first letter of IDField of a bucket: the number of the shard as a
// letter from "a", in upper case if VALUE belongs to another place.
func shardLetter(shard int, own bool) string {
	if own {
		return string(rune('a' + shard))
	}
	return string(rune('A' + shard))
}

// BucketLetters are the first letters of IDField of a bucket for a shard.
func BucketLetters(shard int) [2]string {
	return [2]string{shardLetter(shard, true), shardLetter(shard, false)}
}

// programMaps adds the entries for all Routes.
func (s State) programMaps(add func(name string, e MapEntry)) {
	p := s.program()
	rules := map[string]bool{}
	addRule := func(r Route) {
		if id, value := r.rule(); r.needsRule() && !rules[id] {
			rules[id] = true
			add(RulesMap, MapEntry{id, value})
		}
	}
	listeners := map[string]bool{}
	for _, r := range s.Routes {
		addRule(r)
		if prefix := r.listenerPrefix(); prefix != "" && !listeners[prefix] {
			listeners[prefix] = true
			add(ListenersMap, MapEntry{ServerName(r.Listener), prefix})
		}
	}
	for z, routes := range p.folded {
		for _, r := range routes {
			add(r.routesMap(), MapEntry{place{zone: z, path: r.Path}.key(), r.value()})
		}
	}
	var sharded [ConditionsShards]map[*bucket]bool
	for i := range sharded {
		sharded[i] = map[*bucket]bool{}
	}
	held := s.heldValues()
	for _, buckets := range p.zones {
		for _, b := range buckets { // that of every path is the last
			try, last, ok := p.find(b)
			value := ""
			if ok {
				value = last.value()
			}
			if len(try) > 0 {
				shard := b.shardOf()
				ids := ""
				for _, o := range try {
					ids += o.id
					sharded[shard][o] = true
				}
				if !ok {
					s.addLessSpecial(p, b, sharded[shard])
					value = held[b.zone]
				}
				_, own := b.final()
				text := BucketPrefix + strconv.Itoa(b.rank) + "|" + shardLetter(shard, own) + ids
				if value != "" {
					text += "|" + value
				}
				value = text
			}
			if value == "" {
				continue // no condition fits into a line
			}
			if len(try) == 0 && len(p.folded[b.zone]) > 0 {
				// HAProxy must look up the path regardless of case as well.
				value = BucketPrefix + strconv.Itoa(b.rank) + "|" + shardLetter(0, true) + "|" + value
			}
			add(b.mapName(), MapEntry{b.key(), value})
			if b.path == "" && !b.exact {
				delete(held, b.zone)
			}
		}
	}
	for z, value := range held {
		add(Route{TLS: z.tls}.routesMap(), MapEntry{z.host + "/", value})
	}
	for shard, set := range sharded {
		all := make([]*bucket, 0, len(set))
		for b := range set {
			all = append(all, b)
		}
		slices.SortFunc(all, func(a, b *bucket) int {
			return cmp.Or(byPrecedence(a.routes[0], b.routes[0]), cmp.Compare(a.id, b.id))
		})
		for _, b := range all {
			for _, e := range b.entries {
				add(ConditionsMap(shard), e)
			}
		}
	}
}

// addLessSpecial adds the buckets that a request of b may meet afterwards, under less
// special host patterns, to those of its shard.
func (s State) addLessSpecial(p program, b *bucket, to map[*bucket]bool) {
	for _, z := range s.lessSpecial(b.zone) {
		for _, o := range p.zones[z] {
			if o.meets(b.place) {
				try, _, _ := p.find(o)
				for _, t := range try {
					to[t] = true
				}
			}
		}
	}
}

// lessSpecial returns the zones that HAProxy looks up after z.
func (s State) lessSpecial(z zone) []zone {
	var all []zone
	add := func(host string) { all = append(all, zone{z.tls, z.listener, host}) }
	host := HostPattern(z.host)
	if z.host == "*" || strings.HasPrefix(z.host, withinMark) {
		return nil
	}
	var patterns []HostPattern
	switch name, isZone := strings.CutPrefix(z.host, zonePrefix); {
	case isZone:
		patterns = HostPattern("." + name).Patterns()[1:]
	case strings.HasPrefix(z.host, "*."):
		patterns = host.Patterns()[1:]
	default:
		patterns = host.Patterns()
	}
	for _, pattern := range patterns {
		if pattern == "" {
			add("*")
			continue
		}
		if pattern != host {
			add(string(pattern))
		}
	}
	for _, pattern := range append(patterns, host) {
		if h, ok := s.held(pattern); ok {
			add(withinMark + h.Namespace)
		}
	}
	return all
}

// value is the value in a routes map of a Route.
func (r Route) value() string {
	if r.needsRule() {
		return r.ruleValue()
	}
	return r.entry().Value
}
