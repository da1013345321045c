// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"strings"
	"testing"

	"podgate/haproxy"
)

// TestParsersAtTheLimitsOfTheirValues has values that are just valid, and just not.
func TestParsersAtTheLimitsOfTheirValues(t *testing.T) {
	for _, row := range []struct {
		key   string
		value string
		want  string // "invalid" for an error
	}{
		{"bool", "T", "true"},
		{"bool", "FALSE", "false"},
		{"bool", " true", "invalid"},
		{"check-path", "/" + strings.Repeat("a", haproxy.MaxPath-1) + "/", "invalid"},
		{"check-path", "/", "/"},
		{"check-path", "/health/", "/health/"},
		{"check-path", "/health", "/health"},
		{"acl-match", "/A -i", "invalid"},
		{"acl-match", "/A /b/", "[{/A false} {/b false}]"},
		{"acl-match", "-i /A /", "[{/a true} { false}]"}, // no path differs in case from none
		{"rewrite", "/", "/"},
		{"rewrite", "/new/", "/new"},
		{"rewrite", "true", "/"},
		{"rewrite", "false", ""},
		{"rewrite", "new", "invalid"},
		{"number", "10", "10"},
		{"number", "11", "invalid"},
		{"number", "+1", "invalid"},
		{"number", "01", "invalid"},
		{"duration", "1m", "1m0s"},
		{"duration", "500us", "invalid"},
		{"duration", "1.0005s", "invalid"},
		{"duration", "61s", "invalid"},
		{"duration", "5", "invalid"},
		{"backend-name", strings.Repeat("a", 128), strings.Repeat("a", 128)},
		{"backend-name", strings.Repeat("a", 129), "invalid"},
		{"backend-name", "Podgate", "invalid"},
		{"backend-name", "", "invalid"},
		{"allow-source", "10.1.2.3/8, 2001:db8::1", "[10.0.0.0/8 2001:db8::1/128]"},
		{"allow-source", "fe80::1%eth0", "invalid"},
		{"allow-source", "", "invalid"},
	} {
		t.Run(row.key+" "+quote(row.value), func(t *testing.T) {
			if got := parsed(row.key, row.value); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func parsed(key, value string) string {
	show := func(v any, err error) string {
		if err != nil {
			return "invalid"
		}
		return fmt.Sprint(v)
	}
	switch key {
	case "bool":
		return show(parseBool(value))
	case "check-path":
		return show(parseCheckPath(value))
	case "acl-match":
		return show(parseACLMatch(value))
	case "rewrite":
		return show(parseRewrite(value))
	case "number":
		return show(parseNumber(0, 10)(value))
	case "duration":
		return show(parseDuration(1000000, 60000000000)(value))
	case "backend-name":
		return show(parseBackendName(value))
	case "allow-source":
		return show(parseSources(value))
	}
	panic("no parser " + key)
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
