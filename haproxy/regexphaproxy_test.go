// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"podgate/haproxy/haproxytest"
)

func TestHAProxyEvaluatesRegexpsAsGoDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	long := []string{`(/[a-z]+)*/edit`, `(/[a-z]+)*`, `(ab|c[0-9]|d)*`, `(([a-z]-)*/)*`, `([a-z]{1,3}/){0,240}end`, `(a|bc){0,330}d`, `.*foo.*bar.*`, `.*/[^/]*\.js`, `(/[^/]+)*/?`}
	texts := append(long, acceptedRegexps(r, 150)...)
	var entries bytes.Buffer
	for i, text := range texts {
		re, err := ParseRegexp(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		fmt.Fprintf(&entries, "^%d/%s %d\n", i, re.Until('&'), i)
	}
	h := haproxytest.Run(t, haproxytest.Options{Files: map[string][]byte{"regexp.map": entries.Bytes()}})
	addr, err := h.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	frontend := fmt.Sprintf(`frontend regexps
  bind %s
  http-request set-var-fmt(txn.subject) "%%[req.hdr(x-rule)]/%%[req.hdr(x-value)]&"
  http-request return status 200 content-type text/plain lf-string "%%[var(txn.subject),map_reg(%s,none)]"
`, addr, filepath.Join(h.Folder, "regexp.map"))
	if err := h.Write(map[string][]byte{"regexps.cfg": []byte(frontend)}); err != nil {
		t.Fatal(err)
	}
	if err := h.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	matched := 0
	check := func(i int, value string) {
		want := "none"
		if re, _ := ParseRegexp(texts[i]); re.Matches(value) {
			want = fmt.Sprint(i)
			matched++
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Rule", fmt.Sprint(i))
		request.Header.Set("X-Value", value)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s with %s: HAProxy found %s, want %s", texts[i], shorten(value), got, want)
		}
	}
	for _, value := range []string{
		strings.Repeat("/a", 6000) + "/edit", strings.Repeat("/a", 6000) + "/edi", strings.Repeat("/a", 6000), strings.Repeat("abc1d", 2000), strings.Repeat("a-b-/", 2000),
		strings.Repeat("ab/", 240) + "end", strings.Repeat("bc", 329) + "d", strings.Repeat("fo", 3000) + "foo" + strings.Repeat("ba", 2000) + "bar", strings.Repeat("a/", 6000) + "x.js",
	} {
		for i := range long {
			check(i, value)
		}
	}
	for i := range texts {
		for range 8 {
			check(i, randomText(r, r.IntN(12)))
		}
		check(i, randomText(r, 6000))
	}
	if matched < 100 {
		t.Errorf("only %d values matched", matched)
	}
}
