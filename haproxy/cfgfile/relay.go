// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"
	"net/netip"
	"slices"

	parser "github.com/haproxytech/client-native/v5/config-parser"
	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// A worker that a reload retired keeps its open connections, and answers one
// more request on each ("option idle-close-on-response"). It could only do that
// with the servers and classes that it had: HAProxy changes none in a worker
// that is stopping. So it hands the request as it came to the worker that
// serves, by the PROXY protocol, which tells the client's address. Both log it.
//
// A HAProxy that is stopped softly with nobody to follow it has nowhere to hand
// its last requests to, and answers 503.

// relays is the condition on which a request is handed over. Whether the worker
// is stopping is asked once for each request: it may begin to between two rules,
// and would hand over a request whose path it had rewritten.
const relays = "{ var(txn.podgate_relay) -m found }"

// relayed are the rules of a frontend that relays when it is stopping: then
// none of them is for it to decide.
func relayed(rules []models.HTTPRequestRule) []models.HTTPRequestRule {
	return slices.Insert(rules, 0,
		models.HTTPRequestRule{Type: "set-var", VarScope: "txn", VarName: "podgate_relay", VarExpr: "bool(true)", Cond: "if", CondTest: "{ stopping }"},
		models.HTTPRequestRule{Type: "allow", Cond: "if", CondTest: relays},
	)
}

func relayBackend(f haproxy.Frontend) string { return "podgate-relay-" + f.Name }

// relayName is what a bind for retired workers is called within HAProxy.
const relayName = "podgate-relay"

// guard lets nobody in at the Relay and at the Inner but workers of ours: whoever
// may run something on this box could name any client address there. They show
// the secret as the unique ID of the connection in the PROXY header
// (proxy-protocol.txt 2.2.6, PP2_TYPE_UNIQUE_ID), before anything of what follows
// is believed.
func (d *document) guard(f haproxy.Frontend, s haproxy.Settings) []models.TCPRequestRule {
	var rules []models.TCPRequestRule
	for _, door := range []struct {
		name string
		addr netip.AddrPort
	}{{relayName, f.Relay}, {innerName, f.TLSLoopback}} {
		if door.addr.IsValid() {
			test := fmt.Sprintf("{ so_name %s } !{ fc_pp_unique_id -m str %s }", door.name, d.word("relay secret", s.RelaySecret))
			rules = append(rules, models.TCPRequestRule{Type: "session", Action: "reject", Cond: "if", CondTest: test})
		}
	}
	return rules
}

// secretDirective gives every connection of a frontend the secret as its unique ID.
const secretDirective = "unique-id-format"

// shows is what a server line has so that guard lets its connections in.
func shows(s haproxy.Settings) string {
	if s.RelaySecret == "" {
		return ""
	}
	return " proxy-v2-options unique-id"
}

// addRelay adds the backend that leads to the same frontend of the next worker.
// Connections to it are not kept: each belongs to one client.
func (d *document) addRelay(f haproxy.Frontend, s haproxy.Settings) {
	name := relayBackend(f)
	server := "server next " + f.Relay.String() + " send-proxy-v2 pool-max-conn 0" + shows(s)
	d.addSection(parser.Backends, name, httpDefaults, &models.Backend{Name: name})
	d.addLines(parser.Backends, name, []string{server})
}
