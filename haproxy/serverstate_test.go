// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"encoding/json"
	"testing"
	"unsafe"

	"podgate/haproxy"
)

func TestServerStatesAreWords(t *testing.T) {
	for state, want := range map[haproxy.ServerState]string{0: "", haproxy.Ready: "ready", haproxy.Drain: "drain", haproxy.Maint: "maint"} {
		text, err := json.Marshal(state)
		if err != nil || string(text) != `"`+want+`"` || state.String() != want {
			t.Errorf("got %s and %q, want %q: %v", text, state, want, err)
		}
		var back haproxy.ServerState
		if err := json.Unmarshal(text, &back); err != nil || back != state {
			t.Errorf("%s is read as %q: %v", text, back, err)
		}
	}
	var state haproxy.ServerState
	if err := json.Unmarshal([]byte(`"up"`), &state); err == nil {
		t.Errorf("%q was read", "up")
	}
}

// TestServerSize bounds the memory of 100,000 servers, which podgate holds twice.
func TestServerSize(t *testing.T) {
	if got, most := unsafe.Sizeof(haproxy.Server{}), uintptr(40); got > most {
		t.Errorf("a Server has %d bytes, want at most %d", got, most)
	}
}
