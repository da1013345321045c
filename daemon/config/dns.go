// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"podgate/haproxy"
)

// allNamespaces stands for all of them where it stands alone.
const allNamespaces = "*"

// namespace is the name of a Kubernetes namespace, an RFC 1123 label.
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

// ownName is a host name of this machine.
func ownName(s string) (string, error) {
	if strings.HasPrefix(s, "*") {
		return "", fmt.Errorf("%q is not a host name (wildcards are not for this machine's names)", s)
	}
	h, err := host(s)
	return string(h), err
}

func finishHosts(v value, at []value, hosts []haproxy.HostPattern) []haproxy.HostPattern {
	if entries, _ := v.entries(); len(entries) == 0 {
		v.refuse("names no host")
	}
	return distinct(v, at, hosts)
}

// finishGranted sees that a list of a grant holds something: an empty one would
// look like a grant of nothing, and be none.
func finishGranted[T comparable](v value, at []value, names []T) []T {
	if entries, _ := v.entries(); len(entries) == 0 {
		v.refuse("is empty")
	}
	return distinct(v, at, names)
}

// isDNSName reports whether s is an RFC 1123 subdomain of lower case.
func isDNSName(s string) bool {
	h, err := haproxy.ParseHost(s)
	return err == nil && string(h) == s && !strings.HasPrefix(s, "*")
}
