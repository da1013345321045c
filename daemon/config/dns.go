// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"podgate/haproxy"
)

// allNamespaces means all namespaces.
const allNamespaces = "*"

// namespace parses the name of a Kubernetes namespace, an RFC 1123 label.
func namespace(s string) (string, error) {
	if !haproxy.IsLabel(s) {
		return "", fmt.Errorf("%q is not the name of a namespace (a-z, 0-9 and -, up to 63 characters)", s)
	}
	return s, nil
}

func namespaceOrAll(s string) (string, error) {
	if s == allNamespaces {
		return s, nil
	}
	return namespace(s)
}

// finishNamespaces is a finish that sorts, and rejects "*" with other namespaces.
func finishNamespaces(v value, at []value, names []string) []string {
	distinct(v, at, names)
	if i := slices.Index(names, allNamespaces); i >= 0 && len(names) > 1 {
		at[i].reject(`"*" means all namespaces and cannot be combined with others (write ["*"])`)
	}
	if entries, _ := v.entries(); len(entries) == 0 {
		v.reject(`is empty (write ["*"] for all)`)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// host parses a DNS name, with or without "*." before it.
func host(s string) (haproxy.HostPattern, error) {
	h, err := haproxy.ParseHost(s)
	if err == nil && strings.HasSuffix(s, ".") {
		err = errors.New("write it without the final dot")
	}
	if err != nil {
		return "", fmt.Errorf("%q is not a host name (%w)", s, err)
	}
	return h, nil
}

// ownName parses a host name without wildcard.
func ownName(s string) (string, error) {
	if strings.HasPrefix(s, "*") {
		return "", fmt.Errorf("%q is not a host name (wildcards are not supported here)", s)
	}
	h, err := host(s)
	return string(h), err
}

// finishGranted is a finish that rejects an empty list of a grant, which would
// seem to grant nothing but has no effect.
func finishGranted[T comparable](v value, at []value, names []T) []T {
	if entries, _ := v.entries(); len(entries) == 0 {
		v.reject("is empty")
	}
	return distinct(v, at, names)
}
