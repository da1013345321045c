// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"slices"
	"strings"
	"testing"

	"podgate/haproxy"
)

func TestParseHost(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	host253 := strings.Repeat(label63+".", 3) + strings.Repeat("b", 61)
	for _, row := range []struct{ value, want, reason string }{ // reason is "" for a valid value
		{"*.A.example.com.", "*.a.example.com", ""},
		{"localhost", "localhost", ""},
		{"10.0.0.1", "10.0.0.1", ""},
		{"_a.B_c_.example.com", "_a.b_c_.example.com", ""},
		{"a b.example.com", "", "use letters, digits, -, _ and dots"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", ""},
		{host253, host253, ""},
		{host253 + "b", "", "it has more than 253 characters"},
		{label63 + "a.example.com", "", "a label has more than 63 characters"},
		{"a..example.com", "", "a label is empty"},
		{"a.example.com..", "", "a label is empty"},
		{"-a.example.com", "", "a label begins or ends with -"},
		{"a-.example.com", "", "a label begins or ends with -"},
		{"", "", "it is empty"},
		{".", "", "it is empty"},
		{"*.", "", `a wildcard is written "*.example.com"`},
		{"*", "", `a wildcard is written "*.example.com"`},
		{"a*.example.com", "", `a wildcard is written "*.example.com"`},
		{"*.*.example.com", "", `a wildcard is written "*.example.com"`},
		{"https://a.example.com", "", "write it without scheme, port and path"},
		{"\u212Aelvin.example", "", "use letters, digits, -, _ and dots"}, // the sign whose lower case is the letter k
	} {
		host, err := haproxy.ParseHost(row.value)
		if string(host) != row.want || reason(err) != row.reason {
			t.Errorf("%q: got %q, %v, want %q, %s", row.value, host, err, row.want, row.reason)
		}
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzParseHost(f *testing.F) {
	for _, value := range []string{"a.example.com", "*.example.com", "A.B.", "*", "*.", "..", "a..b", "-a.b", "xn--bcher-kva.example", "a/b", "a:80", "a b", "ä.de", strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 127) + "b"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		host, err := haproxy.ParseHost(value)
		if err != nil {
			return
		}
		if strings.Trim(strings.TrimPrefix(string(host), "*."), "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
			t.Errorf("%q is %q", value, host)
		}
		if again, err := haproxy.ParseHost(string(host)); err != nil || again != host || len(host) > 253 || host == "" {
			t.Errorf("%q is parsed as %q, and that as %q, %v", value, host, again, err)
		}
		if !haproxy.IsCertificateName(string(host)) {
			t.Errorf("IsCertificateName(%q) is false", host)
		}
	})
}

func TestLookupsOfAHost(t *testing.T) {
	for _, row := range []struct {
		host haproxy.HostPattern
		want []haproxy.HostPattern
	}{
		{"a.example.com", []haproxy.HostPattern{"a.example.com", "*.example.com", ""}},
		{"localhost", []haproxy.HostPattern{"localhost", ""}},
		{"", []haproxy.HostPattern{""}},
		{"[::1]", []haproxy.HostPattern{"[::1]", ""}},
	} {
		if got := row.host.Lookups(); !slices.Equal(got, row.want) {
			t.Errorf("%q: got %q, want %q", row.host, got, row.want)
		}
	}
	if got := haproxy.HostPattern("*.example.com").Wildcard(); got != "*.example.com" {
		t.Errorf("the wildcard of *.example.com is %q", got)
	}
}

func TestNamesOfCertificates(t *testing.T) {
	for name, want := range map[string]bool{
		"a.example.com": true, "*.example.com": true, "a_b.internal": true, "-a": true,
		"": false, "*": false, "a..b": false, "a b": false, "!a": false, "A": false, "a.*": false, strings.Repeat("a", 64): false,
	} {
		if got := haproxy.IsCertificateName(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}
