// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"podgate/haproxy/haproxytest"
)

func TestDemo(t *testing.T) {
	haproxytest.Need(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var stdout, stderr strings.Builder
	if err := run(t.Context(), []string{"demo", "--for", "5s"}, &stdout, &stderr); err != nil {
		t.Errorf("demo: %v", err)
	}
	out := stdout.String()
	t.Log(out)
	for _, name := range []string{"requests", "endpoint changes", "Services added", "runtime applies", "reloads"} {
		if n := summaryLine(t, out, name); n == 0 {
			t.Errorf("the summary has 0 %s", name)
		}
	}
	if n := summaryLine(t, out, "failed"); n != 0 {
		t.Errorf("the summary has %d failed", n)
	}
	for _, want := range []string{
		"curl http://127.0.0.1:",
		"curl -H 'Host: shop.example.com' http://127.0.0.1:",
		"   time requests failed endpoint changes Services added runtime applies reloads\n",
		"reload: HAProxy has not loaded podgate's configuration yet (",
		"Service shop/sale-1 added\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q", want)
		}
	}
	if !regexp.MustCompile(`(?m)^ +\d:\d\d HAProxy has not loaded podgate's configuration yet$`).MatchString(out) {
		t.Error("summary lacks the reason of the first reload")
	}
	if stderr.Len() > 0 {
		t.Errorf("standard error: %s", &stderr)
	}
	left, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// summaryLine returns the number on a line of the summary.
func summaryLine(t *testing.T, out, name string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^  ` + name + ` +(\d+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no %q in the summary", name)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDemoEndsWithItsContext(t *testing.T) {
	haproxytest.Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// A line of figures, the first of them the requests.
	stdout := &cancelAt{text: regexp.MustCompile(`(?m)^ *\d+:\d\d +[1-9]\d* +\d+ +\d+`), cancel: cancel}
	if err := run(ctx, []string{"demo"}, stdout, io.Discard); err != nil {
		t.Errorf("demo: %v", err)
	}
	if n := summaryLine(t, stdout.all.String(), "requests"); n == 0 {
		t.Error("the summary has 0 requests")
	}
}

// cancelAt cancels a context when a text has been written.
type cancelAt struct {
	text   *regexp.Regexp
	cancel func()
	all    strings.Builder
}

func (c *cancelAt) Write(p []byte) (int, error) {
	if c.text.Match(p) {
		c.cancel()
	}
	return c.all.Write(p)
}

func TestDemoWithoutHAProxy(t *testing.T) {
	t.Setenv("HAPROXY", "/nonexistent/haproxy")
	var stdout, stderr strings.Builder
	err := run(t.Context(), []string{"demo", "--for", "1s"}, &stdout, &stderr)
	const want = `find HAProxy: exec: "/nonexistent/haproxy": stat /nonexistent/haproxy: no such file or directory (does $HAPROXY name the binary?)`
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}
