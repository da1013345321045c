// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"strconv"
	"strings"

	"podgate/kubeapi"
)

// maxValue is how many bytes of an annotation are read; no value that podgate
// understands is longer.
const maxValue = 4096

// annotation is one annotation of ours, its value unread.
type annotation struct {
	written string // the whole key as the Service carries it
	key     key
	suffix  string // the port's name or number that it is for; "" for every port
	value   string
}

// slot is where an annotation stands in annotations.
type slot struct {
	key    key
	suffix string
}

// annotations are those of ours of one Service.
type annotations map[slot]annotation

// parseAnnotations picks our annotations from those of a Service, and tells
// which keys and suffixes mean nothing. It does not read values.
func parseAnnotations(svc *kubeapi.Service) (annotations, []Problem) {
	var known annotations
	var problems []Problem
	for written, value := range svc.Annotations {
		rest, ours := strings.CutPrefix(written, domain)
		if !ours {
			continue
		}
		report := func(format string, args ...any) {
			problems = append(problems, Problem{Kind: Invalid, Service: svc.Key, Key: written, Text: fmt.Sprintf(format, args...)})
		}
		rest, prefixed := strings.CutPrefix(rest, "lb.")
		name, suffix, dotted := strings.Cut(rest, ".")
		k := key(name)
		switch {
		case !prefixed || !k.known():
			near := key("")
			if len(svc.Annotations) <= maxProblems { // it takes a while for each
				near = suggest(name)
			}
			if near != "" {
				report("unknown key (did you mean %q?)", Prefix+string(near))
			} else {
				report("unknown key")
			}
		case dotted && !namesPort(svc, suffix):
			report("%s is no port of this Service, which has %s", quote(suffix), portList(svc))
		default:
			if known == nil {
				known = make(annotations)
			}
			known[slot{k, suffix}] = annotation{written: written, key: k, suffix: suffix, value: value}
		}
	}
	return known, append(problems, known.givenTwice(svc)...)
}

// givenTwice tells annotations that hold for one port both by its name and by
// its number.
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
					Text: fmt.Sprintf("the same port also has %s, which holds", named.written),
				})
			}
		}
	}
	return problems
}

// forPort returns the annotation of that key that holds for a port: the one
// with the port's name, else the one with its number, else the one for all.
func (a annotations) forPort(k key, p kubeapi.ServicePort) (annotation, bool) {
	if a == nil {
		return annotation{}, false
	}
	if found, ok := a[slot{k, p.Name}]; ok && p.Name != "" {
		return found, true
	}
	if found, ok := a[slot{k, portNumber(p)}]; ok {
		return found, true
	}
	found, ok := a[slot{k, ""}]
	return found, ok
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

// portLabel is how a port is called towards users.
func portLabel(p kubeapi.ServicePort) string {
	if p.Name != "" {
		return p.Name
	}
	return portNumber(p)
}

// portList lists the first ports of a Service by their labels.
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
