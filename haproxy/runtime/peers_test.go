// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"fmt"
	"os"
	"testing"

	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
)

func TestStickTablesSyncedWithoutPeers(t *testing.T) {
	b := newBox(t)
	if done, err := b.StickTablesSynced(t.Context()); !done || err != nil {
		t.Errorf("got %v, %v, want true", done, err)
	}
}

func TestLocalPeer(t *testing.T) {
	host, err := os.Hostname()
	must(t, err)
	for _, row := range []struct {
		name string
		o    haproxytest.Options
		want string
	}{
		{"the name of the host", haproxytest.Options{}, host},
		{"the name of -L", haproxytest.Options{Name: "edge1"}, "edge1"},
		{"the name of a global section", haproxytest.Options{Global: []string{"localpeer edge2"}}, "edge2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := haproxytest.Run(t, row.o)
			if got, err := runtime.New(h.Admin, h.Master, h.Folder).LocalPeer(t.Context()); got != row.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, row.want)
			}
		})
	}
}

func TestStickTablesSyncedParsesTheFlags(t *testing.T) {
	const of26 = "0x55d02802eff0: [22/Nov/2026:21:38:20] id=podgate disabled=0 flags=0x%s resync_timeout=3s task_calls=1\n" +
		"  0x55d02802f160: id=edge1(local,inactive) addr=127.0.0.1:10024 last_status=NONE last_hdshk=<NEVER>\n        flags=0x0\n"
	for _, row := range []struct {
		name, flags string
		want        bool
	}{
		{"the worker has just started", "0", false},
		{"the worker no longer waits for its predecessor", "4000", false},
		{"the worker waits for other nodes", "6811", false},
		{"the predecessor sent its tables", "1103", true},
		{"no peer sent its tables in time", "6833", true},
	} {
		if got := runtime.ParseStickTablesSynced(fmt.Sprintf(of26, row.flags)); got != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
	if !runtime.ParseStickTablesSynced("No such peers") {
		t.Error("without peers: got false, want true")
	}
}
