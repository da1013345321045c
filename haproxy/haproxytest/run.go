// SPDX-License-Identifier: Apache-2.0

package haproxytest

import (
	"context"
	"os"
)

// TB is the methods of *testing.T that this package uses.
type TB interface {
	Cleanup(func())
	Context() context.Context
	Failed() bool
	Fatalf(format string, args ...any)
	Helper()
	Logf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Run starts a HAProxy and stops it at the end of the test. Without a binary the test
// is skipped, or fails if $CI is set. A test that fails logs HAProxy's log.
func Run(t TB, o Options) *HAProxy {
	t.Helper()
	Need(t)
	h, err := Start(t.Context(), o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("HAProxy's log:\n%s", h.Log())
		}
		if err := h.Stop(); err != nil {
			t.Logf("%v", err)
		}
	})
	return h
}

// Need skips a test, or fails it if $CI is set, without a HAProxy.
func Need(t TB) {
	t.Helper()
	if _, err := Binary(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no HAProxy to test with: %v", err)
		}
		t.Skipf("no HAProxy to test with: %v", err)
	}
}

// Other returns $HAPROXY_OTHER, a HAProxy of another version than that of Binary.
// Without it the test is skipped, or fails if $CI is set.
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
