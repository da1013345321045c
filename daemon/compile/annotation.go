// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"podgate/kubeapi"
)

// maxValue is the maximum length of an annotation's value, in bytes. No valid
// value is longer.
const maxValue = 4096

// annotation is one of podgate's annotations. Its value is not parsed.
type annotation struct {
	written string // the whole key, as in the Service
	key     key    // canonical
	named   key    // as written
	suffix  string // name or number of the port that it is for; "" for all ports
	value   string // without blanks before and after it
}

// blanks are the characters that have no meaning before and after a value, nor
// between the elements of a list. A block scalar of YAML ends in a line end.
const blanks = " \t\r\n"

// slot identifies an annotation of a Service.
type slot struct {
	key    key
	suffix string
}

// annotations are those of podgate's annotations that one Service has.
type annotations map[slot]annotation

// parseAnnotations returns podgate's annotations of a Service, and a Problem for
// each with an unknown key or port. It does not parse values. lost are the keys of the
// latter that restrict how a port is reached: a port without such a key of its own must
// not be served, because nothing shows which port the author wanted to restrict.
func parseAnnotations(svc *kubeapi.Service) (known annotations, lost []key, problems []Problem) {
	for written, value := range svc.Annotations {
		rest, ours := strings.CutPrefix(written, domain)
		if !ours {
			continue
		}
		value = strings.Trim(value, blanks)
		report := func(format string, args ...any) {
			problems = append(problems, Problem{Kind: Invalid, Service: svc.Key, Key: written, Text: fmt.Sprintf(format, args...)})
		}
		rest, prefixed := strings.CutPrefix(rest, "lb.")
		lose := func(k key) (consequence string) {
			k = k.canonical()
			on, err := parseBool(value)
			if k == keyEnabled {
				on = !on
			}
			if !k.restricts() || err == nil && !on {
				return ""
			}
			lost = append(lost, k)
			return "; ports without " + string(k) + " are not served"
		}
		name, suffix, dotted := strings.Cut(rest, ".")
		k := key(name)
		instead, without, refused := k.refused(value)
		switch {
		case prefixed && refused:
			consequence := ""
			switch without {
			case "":
			case keyNode:
				consequence = "; the Service is not served"
			default:
				consequence = "; ports without " + string(without) + " are not served"
			}
			if without != "" {
				lost = append(lost, without)
			}
			report("is not supported (%s)%s", instead, consequence)
		case !prefixed || !k.known():
			near := key("")
			if len(svc.Annotations) <= maxProblems { // the search takes a while
				near = suggest(name)
			}
			if near != "" {
				report("unknown key (did you mean %q?)%s", Prefix+string(near), lose(near))
			} else {
				report("unknown key")
			}
		case dotted && !namesPort(svc, suffix):
			report("%s is not a port of this Service (its ports: %s)%s", quote(suffix), portList(svc), lose(k))
		default:
			if known == nil {
				known = make(annotations)
			}
			known.add(annotation{written: written, key: k.canonical(), named: k, suffix: suffix, value: value}, func(written, text string) {
				problems = append(problems, Problem{Kind: Invalid, Service: svc.Key, Key: written, Text: text})
			})
		}
	}
	return known, lost, append(problems, known.givenTwice(svc)...)
}

// hasEach reports whether an annotation of each key applies to a port.
func (all annotations) hasEach(keys []key, p kubeapi.ServicePort) bool {
	return !slices.ContainsFunc(keys, func(k key) bool { _, ok := all.forPort(k, p); return !ok })
}

// givenTwice returns a Problem for each annotation that has a port's number while
// another one has that port's name.
func (all annotations) givenTwice(svc *kubeapi.Service) []Problem {
	var problems []Problem
	for _, a := range all {
		for _, p := range svc.Ports {
			if a.suffix == "" || a.suffix != portNumber(p) || p.Name == "" || p.Name == a.suffix {
				continue
			}
			if named, twice := all[slot{a.key, p.Name}]; twice {
				problems = append(problems, Problem{
					Kind: Invalid, Service: svc.Key, Port: portLabel(p), Key: a.written,
					Text: "is ignored because the port also has " + plain(named.written),
				})
			}
		}
	}
	return problems
}

// forPort returns the annotation with that key that applies to a port: the one
// with the port's name, else the one with its number, else the one for all ports.
func (all annotations) forPort(k key, p kubeapi.ServicePort) (annotation, bool) {
	if a, ok := all[slot{k, p.Name}]; ok && p.Name != "" {
		return a, true
	}
	if a, ok := all[slot{k, portNumber(p)}]; ok {
		return a, true
	}
	a, ok := all[slot{k, ""}]
	return a, ok
}

func namesPort(svc *kubeapi.Service, suffix string) bool {
	for _, p := range svc.Ports {
		if suffix != "" && (suffix == p.Name || suffix == portNumber(p)) {
			return true
		}
	}
	return false
}

func portNumber(p kubeapi.ServicePort) string { return strconv.Itoa(int(p.Port)) }

// portLabel is the port's name, else its number.
func portLabel(p kubeapi.ServicePort) string {
	if p.Name != "" {
		return p.Name
	}
	return portNumber(p)
}

// portList is the labels of the first ports of a Service.
func portList(svc *kubeapi.Service) string {
	const most = 8
	var labels []string
	for i, p := range svc.Ports {
		if i == most {
			labels = append(labels, "...")
			break
		}
		labels = append(labels, plain(portLabel(p)))
	}
	if labels == nil {
		return "none"
	}
	return strings.Join(labels, ", ")
}
