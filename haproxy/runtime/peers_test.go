// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"fmt"
	"os"
	"testing"

	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
)

func TestAWorkerWithoutPeersHasNothingToHandOn(t *testing.T) {
	b := newBox(t)
	if done, err := b.StickTablesSynced(t.Context()); !done || err != nil {
		t.Errorf("got %v, %v, want true", done, err)
	}
}

func TestAWorkerTellsByWhichNameItGoes(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		o    haproxytest.Options
		want string
	}{
		{"that of the host", haproxytest.Options{}, host},
		{"that of -L", haproxytest.Options{Name: "edge1"}, "edge1"},
		{"that of a global section", haproxytest.Options{Global: []string{"localpeer edge2"}}, "edge2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := haproxytest.Run(t, row.o)
			if got, err := runtime.New(h.Admin, h.Master, h.Folder).LocalPeer(t.Context()); got != row.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, row.want)
			}
		})
	}
}

func TestTheFlagsOfPeersTellWhoHandsOn(t *testing.T) {
	const of26 = "0x55d02802eff0: [22/Nov/2026:21:38:20] id=podgate disabled=0 flags=0x%s resync_timeout=3s task_calls=1\n" +
		"  0x55d02802f160: id=edge1(local,inactive) addr=127.0.0.1:10024 last_status=NONE last_hdshk=<NEVER>\n        flags=0x0\n"
	for _, row := range []struct {
		name, flags string
		want        bool
	}{
		{"it has just begun", "0", false},
		{"its predecessor is waited for no longer", "4000", false},
		{"and others are waited for", "6811", false},
		{"its predecessor taught it", "1103", true},
		{"nobody taught it in time", "6833", true},
	} {
		if got := runtime.ParseStickTablesSynced(fmt.Sprintf(of26, row.flags)); got != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
	if !runtime.ParseStickTablesSynced("No such peers") {
		t.Error("without peers somebody is waited for")
	}
}
