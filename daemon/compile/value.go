// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"podgate/daemon/config"
	"podgate/haproxy"
)

// Each parser below turns an annotation's value into a type with a restricted
// character set, so that nothing else of the value can reach HAProxy. The errors
// quote the value, shortened.

// parseBool accepts what service-loadbalancer did: true, false, 1, 0, t, f and
// their capitals.
func parseBool(value string) (bool, error) {
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("%s is not true or false", quote(value))
	}
	return b, nil
}

// parseOneOf returns a parser of a choice.
func parseOneOf[T ~string](choices ...T) func(string) (T, error) {
	return func(value string) (T, error) {
		names := make([]string, len(choices))
		for i, c := range choices {
			if value == string(c) {
				return c, nil
			}
			names[i] = string(c)
		}
		return "", fmt.Errorf("%s is not one of %s", quote(value), strings.Join(names, ", "))
	}
}

// parseDuration returns a parser of a Go duration of whole milliseconds
// between two bounds, both included.
func parseDuration(least, most time.Duration) func(string) (time.Duration, error) {
	return func(value string) (time.Duration, error) {
		d, err := time.ParseDuration(value)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%s is not a duration such as 5s, 500ms or 1m30s", quote(value))
		case d < least || d > most:
			return 0, fmt.Errorf("%s is not between %s and %s", quote(value), config.FormatDuration(least), config.FormatDuration(most))
		case d%time.Millisecond != 0:
			return 0, fmt.Errorf("%s is not a whole number of milliseconds", quote(value))
		}
		return d, nil
	}
}

// parseNumber returns a parser of a decimal number between two bounds, both
// included.
func parseNumber(least, most int) func(string) (int, error) {
	return func(value string) (int, error) {
		n, err := strconv.Atoi(value)
		if err != nil || n < least || n > most || value != strconv.Itoa(n) {
			return 0, fmt.Errorf("%s is not a number from %d to %d", quote(value), least, most)
		}
		return n, nil
	}
}

// parseTCPPort accepts a port. A fork of service-loadbalancer had another form of the
// value, LISTEN:PORT.
func parseTCPPort(value string) (int, error) {
	n, err := parseNumber(1, 65535)(value)
	if listen, port, two := strings.Cut(value, ":"); err != nil && two && len(value) <= maxShown {
		err = fmt.Errorf("%w (write %s%s.%s: %q)", err, Prefix, keyTCP, plain(port), listen)
	}
	return n, err
}

// parseBackendName accepts the names that HAProxy does (configuration.txt 2.3).
func parseBackendName(value string) (string, error) {
	const most = 128
	switch {
	case value == "":
		return "", errors.New(`"" is not a name`)
	case len(value) > most:
		return "", fmt.Errorf("%s is longer than %d characters", quote(value), most)
	case strings.HasPrefix(strings.ToLower(value), reservedName):
		return "", fmt.Errorf("%s begins with %q, which is reserved", quote(value), reservedName)
	case !isAlphanumeric(value[0]):
		return "", fmt.Errorf("%s does not begin with a letter or a digit", quote(value))
	}
	for i := range len(value) {
		if c := value[i]; !isAlphanumeric(c) && !strings.ContainsRune("_.:-", rune(c)) {
			return "", fmt.Errorf("%s has a character other than letters, digits and _ . : -", quote(value))
		}
	}
	return value, nil
}

// parseHosts splits a list of hosts. service-loadbalancer wrote the value after
// "hdr(host)", where it can begin with "-i". A host is in any case without this flag,
// too; the other flags change what the words after them mean.
func parseHosts(value string) ([]string, error) {
	if value == "-i" || strings.HasPrefix(value, "-i") && strings.ContainsRune(blanks, rune(value[2])) {
		value = strings.TrimLeft(value[2:], blanks)
	}
	if strings.HasPrefix(value, "-") {
		return nil, fmt.Errorf("%s begins with -; of HAProxy's flags, only -i is supported", quote(value))
	}
	return splitWords(value), nil
}

// parseHost accepts a host, and a port, which it ignores like HAProxy does that of the
// Host header.
func parseHost(value string) (haproxy.HostPattern, error) {
	name := value
	if i := strings.LastIndexByte(value, ':'); i >= 0 {
		if _, err := parseNumber(1, 65535)(value[i+1:]); err == nil {
			name = value[:i]
		}
	}
	host, err := haproxy.ParseHost(name)
	if err != nil {
		err = fmt.Errorf("%s is not a host name: %w", quote(value), err)
	}
	return host, err
}

// parseSources accepts a list of networks and addresses.
func parseSources(value string) ([]netip.Prefix, error) {
	var sources []netip.Prefix
	for _, s := range splitWords(value) {
		prefix, err := haproxy.ParseNetwork(s)
		if err != nil {
			return nil, fmt.Errorf("%s is not a network: %w", quote(s), err)
		}
		sources = append(sources, prefix.Masked())
	}
	return sources, nil
}

// splitWords splits a value at its commas, or at its blanks if it has no comma. A blank
// between two commas is more likely a mistake.
func splitWords(value string) []string {
	if value != "" && !strings.Contains(value, ",") {
		return strings.FieldsFunc(value, isBlank)
	}
	return splitList(value)
}

// splitList splits a value at its commas, and trims blanks around the elements.
func splitList(value string) []string {
	elements := strings.Split(value, ",")
	for i, e := range elements {
		elements[i] = strings.Trim(e, blanks)
	}
	return elements
}

func isBlank(r rune) bool { return strings.ContainsRune(blanks, r) }

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
