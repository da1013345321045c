// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"
)

// allNamespaces stands for all of them where it stands alone.
const allNamespaces = "*"

// namespace is the name of a Kubernetes namespace, an RFC 1123 label.
func namespace(s string) (string, error) {
	if !isLabel(s) {
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

// finishNamespaces sorts the namespaces and sees that "*" stands alone.
func finishNamespaces(v value, at []value, names []string) []string {
	distinct(v, at, names)
	if i := slices.Index(names, allNamespaces); i >= 0 && len(names) > 1 {
		at[i].refuse(`"*" means all namespaces and stands alone (write ["*"])`)
	}
	if entries, _ := v.entries(); len(entries) == 0 {
		v.refuse(`names no namespace (write ["*"] for all)`)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// host is a DNS name in lower case, or "*." and one.
func host(s string) (string, error) {
	lower := strings.ToLower(s)
	name := strings.TrimPrefix(lower, "*.")
	switch {
	case isDNSName(name):
		return lower, nil
	case isDNSName(strings.TrimSuffix(name, ".")):
		return "", fmt.Errorf("%q is not a host name (write it without the final dot)", s)
	case strings.Contains(s, "/") || strings.Contains(s, ":"):
		return "", fmt.Errorf("%q is not a host name (write it without scheme, port and path)", s)
	case strings.Contains(name, "*"):
		return "", fmt.Errorf(`%q is not a host name (a wildcard is written "*.example.com")`, s)
	}
	return "", fmt.Errorf("%q is not a host name", s)
}

// ownName is a host name of this machine.
func ownName(s string) (string, error) {
	if strings.HasPrefix(s, "*") {
		return "", fmt.Errorf("%q is not a host name (wildcards are not for this machine's names)", s)
	}
	return host(s)
}

func finishHosts(v value, at []value, hosts []string) []string {
	if entries, _ := v.entries(); len(entries) == 0 {
		v.refuse("names no host")
	}
	return distinct(v, at, hosts)
}

// finishGranted sees that a list of a grant holds something: an empty one would
// look like a grant of nothing, and be none.
func finishGranted(v value, at []value, names []string) []string {
	if entries, _ := v.entries(); len(entries) == 0 {
		v.refuse("is empty")
	}
	return distinct(v, at, names)
}

// isDNSName reports whether s is an RFC 1123 subdomain of lower case.
func isDNSName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel reports whether s is an RFC 1123 label of lower case.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, r := range s {
		if r != '-' && (!isAlphanumeric(r) || 'A' <= r && r <= 'Z') {
			return false
		}
	}
	return true
}
