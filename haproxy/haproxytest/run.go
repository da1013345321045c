// SPDX-License-Identifier: Apache-2.0

package haproxytest

import (
	"context"
	"os"
)

// TB is what is used of *testing.T.
type TB interface {
	Cleanup(func())
	Context() context.Context
	Failed() bool
	Fatalf(format string, args ...any)
	Helper()
	Logf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Run is Start for the length of a test. Without a HAProxy the test is skipped,
// or fails where $CI is set. A test that fails shows HAProxy's log.
func Run(t TB, o Options) *HAProxy {
	t.Helper()
	Need(t)
	h, err := Start(t.Context(), o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("HAProxy said:\n%s", h.Log())
		}
		if err := h.Stop(); err != nil {
			t.Logf("%v", err)
		}
	})
	return h
}

// Need skips a test, or fails it where $CI is set, if there is no HAProxy.
func Need(t TB) {
	t.Helper()
	if _, err := Binary(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no HAProxy to test with: %v", err)
		}
		t.Skipf("no HAProxy to test with: %v", err)
	}
}

// Other is $HAPROXY_OTHER, a HAProxy of another version than Binary's. Without it
// a test is skipped, or fails where $CI is set.
func Other(t TB) string {
	t.Helper()
	other := os.Getenv("HAPROXY_OTHER")
	switch {
	case other == "" && os.Getenv("CI") != "":
		t.Fatalf("no HAProxy of another version to test with: set HAPROXY_OTHER")
	case other == "":
		t.Skipf("no HAProxy of another version to test with: HAPROXY_OTHER is not set (testdata/haproxy/fetch.sh other)")
	}
	return other
}
