// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"errors"
	"fmt"
	"strings"
)

// HostPattern is the hosts that a Route matches: a DNS name in lower case, or "*."
// and a name, which matches hosts with exactly one label before that name, or "**." and a
// name, which matches hosts with 1 to MaxZoneLabels labels before it. The zero value
// matches every host.
type HostPattern string

// MaxZoneLabels is how many labels of a host "**." matches. HAProxy has a lookup for each.
const MaxZoneLabels = 6

// ParseHost parses a HostPattern other than the zero one: a DNS name (RFC 1123
// section 2.1), with or without a leading "*." and a trailing dot, in any case.
// Its labels may contain "_", which the DNS allows (RFC 2181 section 11) and clients
// send. Names in other alphabets must be written as "xn--...". The error contains only the
// reason; the caller adds the value.
func ParseHost(s string) (HostPattern, error) {
	host := strings.TrimSuffix(s, ".")
	name := strings.TrimPrefix(host, "*.")
	if name == "" {
		return "", errors.New("it is empty")
	}
	if len(host) > maxName {
		return "", fmt.Errorf("it has more than %d characters", maxName)
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return "", err
		}
	}
	return HostPattern(strings.ToLower(host)), nil
}

// The longest DNS name and label (RFC 1035 section 2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// checkLabel returns why label is not a label of the name of a host.
func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("a label is empty")
	case len(label) > maxLabel:
		return fmt.Errorf("a label has more than %d characters", maxLabel)
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("a label begins or ends with -")
	}
	for i := range len(label) {
		switch c := label[i]; {
		case isAlphanumeric(c) || c == '-' || c == '_':
		case c == '*':
			return errors.New(`a wildcard is written "*.example.com"`)
		case c == ':' || c == '/':
			return errors.New("write it without scheme, port and path")
		default:
			return errors.New("use letters, digits, -, _ and dots")
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// IsLabel reports whether s is one label of a DNS name in lower case, like the names
// of Kubernetes namespaces and Services (RFC 1123), which contain no "_".
func IsLabel(s string) bool {
	return checkLabel(s) == nil && s == strings.ToLower(s) && !strings.Contains(s, "_")
}

// IsCertificateName reports whether HAProxy can serve a certificate for name: a host
// or wildcard in lower case that can be one word of a crt-list. Unlike in the host of a
// Route, "-" may begin or end a label.
func IsCertificateName(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return len(name) <= maxName
}

// CanonicalHost returns the HostPattern of a Host header: in lower case, without port
// and trailing dot.
func CanonicalHost(header string) HostPattern {
	if i := strings.LastIndexByte(header, ':'); i > strings.LastIndexByte(header, ']') {
		header = header[:i]
	}
	return HostPattern(strings.ToLower(strings.TrimSuffix(header, ".")))
}

// Wildcard returns the pattern of all hosts of the same zone: "*.example.com" for
// "a.example.com" and for "*.example.com"; "" for a name of one label.
func (h HostPattern) Wildcard() HostPattern {
	_, zone, ok := strings.Cut(string(h), ".")
	if !ok {
		return ""
	}
	return HostPattern("*." + zone)
}

// Lookups returns the patterns that match a host, in the order in which HAProxy looks
// them up: the host itself, its wildcard, every host.
func (h HostPattern) Lookups() []HostPattern {
	switch w := h.Wildcard(); {
	case h == "":
		return []HostPattern{""}
	case w == "":
		return []HostPattern{h, ""}
	default:
		return []HostPattern{h, w, ""}
	}
}

// Patterns returns all patterns that match a host, the most special first. With
// Settings.Rules, HAProxy looks them up in this order.
func (h HostPattern) Patterns() []HostPattern {
	if h == "" {
		return []HostPattern{""}
	}
	patterns := []HostPattern{h}
	if w := h.Wildcard(); w != "" {
		patterns = append(patterns, w)
	}
	for zone, n := string(h), 0; n < MaxZoneLabels; n++ {
		_, rest, ok := strings.Cut(zone, ".")
		if !ok {
			break
		}
		patterns, zone = append(patterns, HostPattern(zonePrefix+rest)), rest
	}
	return append(patterns, "")
}

// zonePrefix is before the zone of a pattern for any number of labels.
const zonePrefix = "**."

// exactRank is the rank of an exact host.
const exactRank = 2

// rank is higher for a pattern that is earlier in Lookups. Of two patterns of one rank
// that match the same host, the longer is the more special one.
func (h HostPattern) rank() int {
	switch {
	case h == "" || strings.HasPrefix(string(h), zonePrefix):
		return 0
	case strings.HasPrefix(string(h), "*."):
		return 1
	}
	return exactRank
}
