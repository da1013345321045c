// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"fmt"
	"testing"

	"podgate/haproxy/runtime"
)

func TestAWorkerWithoutPeersHasNothingToHandOn(t *testing.T) {
	b := newBox(t)
	if done, err := b.HandsOn(t.Context()); !done || err != nil {
		t.Errorf("got %v, %v, want true", done, err)
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
		if got := runtime.ParseHandsOn(fmt.Sprintf(of26, row.flags)); got != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
	if !runtime.ParseHandsOn("No such peers") {
		t.Error("without peers somebody is waited for")
	}
}
