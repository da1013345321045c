// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
)

func TestChoose(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	certificate := func(name, algorithm string, issued int, names ...string) haproxy.Certificate {
		return haproxy.Certificate{Name: name, Source: "/c/" + name, Algorithm: algorithm, NotBefore: day(issued), NotAfter: day(issued + 9), Names: names}
	}
	for _, row := range []struct {
		name     string
		all      []haproxy.Certificate
		fallback string
		want     []string
		problems []string
	}{
		{"each certificate serves its names", []haproxy.Certificate{certificate("a", "RSA", 1, "a.test"), certificate("b", "RSA", 1, "*.b.test", "b.test")}, "",
			[]string{"a a.test", "b *.b.test b.test"}, nil},
		{"of two certificates for a name, the one issued last serves it", []haproxy.Certificate{certificate("a", "RSA", 1, "a.test", "b.test"), certificate("b", "RSA", 2, "b.test")}, "",
			[]string{"a a.test", "b b.test"}, nil},
		{"two certificates with keys of different algorithms serve one name", []haproxy.Certificate{certificate("a", "RSA", 1, "a.test"), certificate("b", "ECDSA", 2, "a.test")}, "",
			[]string{"a a.test", "b a.test"}, nil},
		{"a certificate that serves no name is reported", []haproxy.Certificate{certificate("a", "RSA", 1, "a.test"), certificate("b", "RSA", 2, "a.test")}, "",
			[]string{"b a.test"}, []string{"/c/a: all its names are served by /c/b, issued later; it is not served"}},
		{"the default certificate is kept without a name to serve", []haproxy.Certificate{certificate("a", "RSA", 1, "a.test"), certificate("b", "RSA", 2, "a.test")}, "a",
			[]string{"a", "b a.test"}, nil},
		{"a certificate without a host name is reported", []haproxy.Certificate{certificate("a", "RSA", 1)}, "",
			nil, []string{"/c/a: has no host name; it is not served"}},
	} {
		chosen, problems := choose(row.all, row.fallback)
		var got, reported []string
		for _, c := range chosen {
			got = append(got, c.String())
		}
		for _, p := range problems {
			reported = append(reported, p.String())
		}
		if diff := cmp.Diff([][]string{row.want, row.problems}, [][]string{got, reported}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}

func TestFileNamesAreValidAndUnique(t *testing.T) {
	seen := map[string]string{}
	for _, source := range []string{
		"/c/shop.pem", "/d/shop.pem", "/live/shop.test/fullchain.pem", "/m/tls.crt", "/c/o d\n;`.pem", "/c/..pem", "/c/ü.pem", "/c/" + strings.Repeat("x", 300) + ".pem",
	} {
		name := fileName(source)
		if other, taken := seen[name]; taken {
			t.Errorf("%q and %q are both %q", source, other, name)
		}
		seen[name] = source
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" || name[0] == '.' || len(name) > 200 {
			t.Errorf("%q has the name %q", source, name)
		}
	}
}
