// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"fmt"
	"slices"
	"strings"

	"podgate/haproxy"
)

// choose says which of the certificates serves which names: of two for the same
// name, with keys of the same kind, the one that was issued last. Those that
// serve none and are not the default one, by Name, are left out and told. The
// certificates, by Name, are not changed.
func choose(all []haproxy.Certificate, fallback string) ([]haproxy.Certificate, []Problem) {
	type seat struct{ name, algorithm string }
	winner := map[seat]int{}
	for i, c := range all {
		for _, name := range c.Names {
			s := seat{name, c.Algorithm}
			if j, taken := winner[s]; !taken || newer(c, all[j]) {
				winner[s] = i
			}
		}
	}
	var chosen []haproxy.Certificate
	var problems []Problem
	for i, c := range all {
		c.Serves = nil
		lost := map[string]bool{}
		for _, name := range c.Names {
			if j := winner[seat{name, c.Algorithm}]; j == i {
				c.Serves = append(c.Serves, name)
			} else {
				lost[all[j].Source] = true
			}
		}
		switch {
		case len(c.Serves) > 0 || c.Name == fallback:
			chosen = append(chosen, c)
		case len(c.Names) == 0:
			problems = append(problems, Problem{c.Source, "is for no host name; it is not served"})
		default:
			var by []string
			for source := range lost {
				by = append(by, source)
			}
			slices.Sort(by)
			problems = append(problems, Problem{c.Source, fmt.Sprintf("all its names are served by %s, issued later; it is not served", strings.Join(by, ", "))})
		}
	}
	return chosen, problems
}

// newer reports whether a is served rather than b.
func newer(a, b haproxy.Certificate) bool {
	switch {
	case !a.NotBefore.Equal(b.NotBefore):
		return a.NotBefore.After(b.NotBefore)
	case !a.NotAfter.Equal(b.NotAfter):
		return a.NotAfter.After(b.NotAfter)
	}
	return a.Name < b.Name
}
