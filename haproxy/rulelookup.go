// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"strings"
)

// RuleLookups returns the lookups that a frontend can do for the host and the path of a
// request with Settings.Rules, in its order, with the entries that the State has. The
// names of rules and buckets in their values are hashes of their content, so that a HAProxy
// that finds the same entries does the same with every request for this host and path.
func (s State) RuleLookups(r Request) []Lookup {
	exact, plain, folded := ExactRoutesMap, RoutesMap, FoldedRoutesMap
	if r.TLS {
		exact, plain, folded = ExactTLSRoutesMap, TLSRoutesMap, FoldedTLSRoutesMap
	}
	prefix := ""
	for _, route := range s.Routes {
		if route.Listener.IsValid() && route.Listener == r.To {
			prefix = route.listenerPrefix()
			break
		}
	}
	path := NormalizePath(r.Path)
	var all []Lookup
	add := func(host string) {
		all = append(all,
			Lookup{Map: exact, Key: prefix + host + path},
			Lookup{Map: plain, Key: prefix + host + path + "/"},
			Lookup{Map: folded, Key: prefix + host + strings.ToLower(path) + "/"},
		)
	}
	patterns, within := s.confine(CanonicalHost(r.Host))
	for _, host := range patterns {
		if host == "" && within.Host != "" && !within.EveryPath {
			add(within.within())
			continue
		}
		add(string(cmp.Or(host, "*")))
	}
	entries := map[string][]MapEntry{}
	for _, m := range s.Maps() {
		entries[m.Name] = m.Entries
	}
	for i, l := range all {
		for _, e := range entries[l.Map] {
			longer := len(e.Key) > len(l.Found.Key) && strings.HasPrefix(l.Key, e.Key)
			if longer && l.Map != exact || e.Key == l.Key {
				all[i].Found, l.Found = e, e
			}
		}
	}
	return all
}
