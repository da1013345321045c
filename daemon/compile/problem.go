// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"podgate/kubeapi"
)

// Problem is something in the cluster that is not served as written, with the
// object and, where one is to blame, the annotation.
type Problem struct {
	Kind    Kind
	Service kubeapi.Key
	Port    string // the port's name, its number where it has none; "" for the whole Service
	Key     string // the annotation as written, prefix and suffix included; "" where none is to blame
	Text    string // what is wrong and what becomes of it, one line
}

// Kind is what sort of Problem one is, for those who count them.
type Kind string

// The kinds. Those from SetAside on are found out with HAProxy and not by
// Compile.
const (
	Invalid     Kind = "invalid"      // an annotation that cannot be read, or means nothing here
	Conflict    Kind = "conflict"     // another Service or port has what is asked for
	NotGranted  Kind = "not-granted"  // podgate.toml does not allow what is asked for
	Unsupported Kind = "unsupported"  // this podgate cannot serve what is asked for
	SetAside    Kind = "set-aside"    // HAProxy did not load it
	NoEndpoints Kind = "no-endpoints" // nothing is there to send requests to
	Unhealthy   Kind = "unhealthy"    // no server passes its health check
	Degraded    Kind = "degraded"     // some servers fail their health checks
)

// Kinds lists every Kind.
func Kinds() []Kind {
	return []Kind{Invalid, Conflict, NotGranted, Unsupported, SetAside, NoEndpoints, Unhealthy, Degraded}
}

// String names the object, then says what is wrong with it. It is one line
// whatever the object contains.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Service %s", plain(p.Service.String()))
	if p.Port != "" {
		fmt.Fprintf(&b, " port %s", plain(p.Port))
	}
	b.WriteString(": ")
	if p.Key != "" {
		fmt.Fprintf(&b, "annotation %s: ", plain(p.Key))
	}
	b.WriteString(p.Text)
	return b.String()
}

// Compare orders Problems by Service, port, annotation and text.
func (p Problem) Compare(o Problem) int {
	return cmp.Or(
		p.Service.Compare(o.Service),
		cmp.Compare(p.Port, o.Port),
		cmp.Compare(p.Key, o.Key),
		cmp.Compare(p.Text, o.Text),
	)
}

// sortProblems sorts them and takes out what is told twice: a value that holds
// for six ports is wrong once.
func sortProblems(problems []Problem) []Problem {
	slices.SortFunc(problems, Problem.Compare)
	return slices.Compact(problems)
}

// maxShown is how many bytes of a value, and maxName how many of a name, are
// shown to an operator. The latter is the longest that Kubernetes allows, an
// annotation's with its prefix.
const (
	maxShown = 64
	maxName  = 253 + len("/") + 63
)

// quote shows a value from the cluster on one line, shortened where it is
// long.
func quote(value string) string {
	if len(value) <= maxShown {
		return strconv.Quote(value)
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(value[cut]) {
		cut--
	}
	return fmt.Sprintf("%q... (%d bytes)", value[:cut], len(value))
}

// plain shows a name from the cluster as it is where that is harmless, else
// quoted. The API server lets no other name through, a file may hold any.
func plain(name string) string {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == '"' {
			return quote(name)
		}
	}
	if len(name) > maxName {
		return quote(name)
	}
	return name
}
