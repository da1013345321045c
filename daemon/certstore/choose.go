// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"podgate/haproxy"
)

// choose sets which certificate serves which names: of two for the same name, with
// keys of the same algorithm, the one that was issued last. It skips and reports a
// certificate that serves no name, unless its Name is fallback, the default one. It
// does not change all, which is sorted by Name.
func choose(all []haproxy.Certificate, fallback string) ([]haproxy.Certificate, []Problem) {
	type key struct{ name, algorithm string }
	winner := map[key]int{}
	for i, c := range all {
		for _, name := range c.Names {
			k := key{name, c.Algorithm}
			if j, taken := winner[k]; !taken || newer(c, all[j]) {
				winner[k] = i
			}
		}
	}
	var chosen []haproxy.Certificate
	var problems []Problem
	for i, c := range all {
		c.Serves = nil
		var others []string // the sources that serve its names
		for _, name := range c.Names {
			if j := winner[key{name, c.Algorithm}]; j == i {
				c.Serves = append(c.Serves, name)
			} else {
				others = append(others, all[j].Source)
			}
		}
		switch {
		case len(c.Serves) > 0 || c.Name == fallback:
			chosen = append(chosen, c)
		case len(c.Names) == 0:
			problems = append(problems, Problem{c.Source, "has no host name; it is not served"})
		default:
			slices.Sort(others)
			others = slices.Compact(others)
			problems = append(problems, Problem{c.Source, fmt.Sprintf("all its names are served by %s, issued later; it is not served", strings.Join(others, ", "))})
		}
	}
	return chosen, problems
}

// newer reports whether a is served instead of b.
func newer(a, b haproxy.Certificate) bool {
	return cmp.Or(a.NotBefore.Compare(b.NotBefore), a.NotAfter.Compare(b.NotAfter), cmp.Compare(b.Name, a.Name)) > 0
}
