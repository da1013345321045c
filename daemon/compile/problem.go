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

// Problem is a part of a Service, or of another object, that is not served as its owner
// wrote it.
type Problem struct {
	Kind    Kind
	Service kubeapi.Key // or of the Object
	Port    string      // the port's name, else its number; "" for the whole Service
	Key     string      // the annotation as written; "" if none is the cause
	Text    string      // what is wrong and what the effect is, one line
	Host    string      // the host as written, if the Problem is about one
	TCPPort uint16      // the port of a TCP frontend, if the Problem is about one
	Object  string      // kind of the object, such as HTTPRoute; "" means Service
}

// Kind is the sort of a Problem, as in the labels of metrics.
type Kind string

// The kinds. Compile returns those before SetAside, and NoEndpoints for a node port that
// no node serves; the others are found with HAProxy.
const (
	Invalid     Kind = "invalid"      // an annotation is invalid or has no effect
	Conflict    Kind = "conflict"     // another Service or port has what is claimed
	NotGranted  Kind = "not-granted"  // podgate.toml does not allow what is claimed
	Unsupported Kind = "unsupported"  // podgate cannot serve it
	SetAside    Kind = "set-aside"    // HAProxy cannot load it
	NoEndpoints Kind = "no-endpoints" // it has no servers
	Unhealthy   Kind = "unhealthy"    // no server passes its health check
	Degraded    Kind = "degraded"     // some servers fail their health checks
)

// Kinds lists every Kind.
func Kinds() []Kind {
	return []Kind{Invalid, Conflict, NotGranted, Unsupported, SetAside, NoEndpoints, Unhealthy, Degraded}
}

// String names the object and the Problem. It is one line whatever the object
// contains.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", cmp.Or(p.Object, "Service"), plain(p.Service.String()))
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

// Compare orders Problems by Service, port, annotation, text and kind.
func (p Problem) Compare(o Problem) int {
	return cmp.Or(
		p.Service.Compare(o.Service),
		cmp.Compare(p.Port, o.Port),
		cmp.Compare(p.Key, o.Key),
		cmp.Compare(p.Text, o.Text),
		cmp.Compare(p.Object, o.Object),
	)
}

// sortProblems sorts them and removes duplicates: an invalid value for six ports is
// one Problem.
func sortProblems(problems []Problem) []Problem {
	slices.SortFunc(problems, Problem.Compare)
	return slices.Compact(problems)
}

// maxShown and maxName are how many bytes of a value and of a name are shown to an
// operator. maxName is the maximum in Kubernetes: an annotation with its prefix.
const (
	maxShown = 64
	maxName  = 253 + len("/") + 63
)

func quote(value string) string { return Quote(value, maxShown) }

// Quote shows a value from the cluster on one line. It shortens a value that is
// longer than most bytes.
func Quote(value string, most int) string {
	if len(value) <= most {
		return strconv.Quote(value)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(value[cut]) {
		cut--
	}
	return fmt.Sprintf("%q... (%d bytes)", value[:cut], len(value))
}

// plain shows a name from the cluster, quoted only if it is not valid in
// Kubernetes.
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
