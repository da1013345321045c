// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"podgate/haproxy"
)

// TestParsersAtTheLimitsOfTheirValues has values that are just valid, and just invalid.
func TestParsersAtTheLimitsOfTheirValues(t *testing.T) {
	number, duration := shown(parseNumber(0, 10)), shown(parseDuration(time.Millisecond, time.Minute))
	for _, row := range []struct {
		parse       func(string) string
		value, want string
	}{
		{shown(parseBool), "T", "true"},
		{shown(parseBool), "FALSE", "false"},
		{shown(parseBool), " true", "invalid"},
		{shown(parseCheckPath), "/" + strings.Repeat("a", haproxy.MaxPath-1) + "/", "invalid"},
		{shown(parseCheckPath), "/", "/"},
		{shown(parseCheckPath), "/health/", "/health/"},
		{shown(parseCheckPath), "/health", "/health"},
		{shown(parseACLMatch), "/A -i", "invalid"},
		{shown(parseACLMatch), "/A /b/", "[{/A false} {/b false}]"},
		{shown(parseACLMatch), "-i /A /", "[{/a true} { false}]"}, // no path differs in case from none
		{shown(parseRewrite), "/", "/"},
		{shown(parseRewrite), "/new/", "/new"},
		{shown(parseRewrite), "true", "/"},
		{shown(parseRewrite), "false", ""},
		{shown(parseRewrite), "new", "invalid"},
		{number, "10", "10"},
		{number, "11", "invalid"},
		{number, "+1", "invalid"},
		{number, "01", "invalid"},
		{duration, "1m", "1m0s"},
		{duration, "500us", "invalid"},
		{duration, "1.0005s", "invalid"},
		{duration, "61s", "invalid"},
		{duration, "5", "invalid"},
		{shown(parseBackendName), strings.Repeat("a", 128), strings.Repeat("a", 128)},
		{shown(parseBackendName), strings.Repeat("a", 129), "invalid"},
		{shown(parseBackendName), "Podgate", "invalid"},
		{shown(parseBackendName), "", "invalid"},
		{shown(parseSources), "10.1.2.3/8, 2001:db8::1", "[10.0.0.0/8 2001:db8::1/128]"},
		{shown(parseSources), "10.1.2.3/8 2001:db8::1", "[10.0.0.0/8 2001:db8::1/128]"},
		{shown(parseSources), "10.1.2.3/8, 10.1.2.4 10.1.2.5", "invalid"},
		{shown(parseSources), "fe80::1%eth0", "invalid"},
		{shown(parseHosts), "", "[]"},
		{shown(parseHosts), "-i\ta", "[a]"},
		{shown(parseHosts), "-i", "[]"},
		{shown(parseHosts), "-ia", "invalid"},
		{shown(parseHosts), "-i -i a", "invalid"},
		{shown(parseHost), "A:65535", "a"},
		{shown(parseHost), "a:65536", "invalid"},
		{shown(parseHost), "a:", "invalid"},
		{shown(parseHost), ":80", "invalid"},
		{shown(parseHost), "::1", "invalid"},
		{shown(parseHost), "a:1:1", "invalid"},
		{shown(parseSecretName), "shop-tls.v1", "shop-tls.v1"},
		{shown(parseSecretName), "shop_tls", "invalid"},
		{shown(parseSources), "", "invalid"},
	} {
		if got := row.parse(row.value); got != row.want {
			t.Errorf("%s: got %q, want %q", quote(row.value), got, row.want)
		}
	}
}

// shown returns a parser that returns its value as text, or "invalid" for an error.
func shown[T any](parse func(string) (T, error)) func(string) string {
	return func(value string) string {
		v, err := parse(value)
		if err != nil {
			return "invalid"
		}
		return fmt.Sprint(v)
	}
}

func TestSuggestionsAreNear(t *testing.T) {
	for written, want := range map[string]key{
		"hsot": keyHost, "hosts": keyHost, "sslterm": keySSLTerm, "acl-match": keyACLMatch, "algoritm": keyAlgorithm,
		"backendname": keyBackendName, "Path": keyPath, "tcpp": keyTCP,
		"x": "", "": "", "weight": "", "sticky": "", strings.Repeat("host", 1000): "",
	} {
		if got := suggest(written); got != want {
			t.Errorf("suggest(%q) = %q, want %q", written, got, want)
		}
	}
}

func TestAValueIsShownOnOneLine(t *testing.T) {
	for value, want := range map[string]string{
		"a\nb":                             `"a\nb"`,
		strings.Repeat("a", 64):            `"` + strings.Repeat("a", 64) + `"`,
		strings.Repeat("a", 65):            `"` + strings.Repeat("a", 64) + `"... (65 bytes)`,
		strings.Repeat("a", 63) + "\u00e9": `"` + strings.Repeat("a", 63) + `"... (65 bytes)`,
	} {
		if got := quote(value); got != want {
			t.Errorf("quote(%q) = %s, want %s", value, got, want)
		}
	}
}
