// SPDX-License-Identifier: Apache-2.0

package haproxy

import "fmt"

// ServerState is the administrative state of a server (management.txt "set
// server"). The zero value is not a state. It is one byte, because there may be
// 100,000 servers.
type ServerState uint8

// The administrative states. A server in Drain accepts no new sessions except those
// that a cookie or a stick table binds to it; a server in Maint accepts no sessions.
const (
	Ready ServerState = iota + 1
	Drain
	Maint
)

var serverStates = [...]string{Ready: "ready", Drain: "drain", Maint: "maint"}

// String is HAProxy's word for the state, "" for the zero value.
func (s ServerState) String() string { return serverStates[s] }

// MarshalText writes String.
func (s ServerState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *ServerState) UnmarshalText(text []byte) error {
	for state, word := range serverStates {
		if word == string(text) {
			*s = ServerState(state)
			return nil
		}
	}
	return fmt.Errorf("a server is ready, drain or maint, not %q", text)
}
