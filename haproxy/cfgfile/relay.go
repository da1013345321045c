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

// An old worker keeps its open connections after a reload, and answers one more
// request on each ("option idle-close-on-response"). Its own servers and classes may
// be outdated, as HAProxy changes none in a worker that is stopping. So it relays the
// unchanged request to the worker that serves, with the client address in a PROXY
// header. Both workers log the request.
//
// If HAProxy as a whole is stopped softly there is no other worker, and the client
// gets 503.

// relayCondition is the condition to relay a request. The first rule decides it once
// for each request: a worker that begins to stop between two rules must not relay a
// request whose path it has rewritten already.
const relayCondition = "{ var(txn.podgate_relay) -m found }"

// withRelay returns the rules of a frontend that relays requests while it is stopping,
// and then skips all other rules.
func withRelay(rules []models.HTTPRequestRule) []models.HTTPRequestRule {
	return slices.Insert(rules, 0,
		models.HTTPRequestRule{Type: "allow", Cond: "if", CondTest: "{ stopping } { bool(true),set-var(txn.podgate_relay) -m bool }"},
	)
}

func relayBackend(f haproxy.Frontend) string { return "podgate-relay-" + f.Name }

// relayName is the name of the bind for old workers.
const relayName = "podgate-relay"

// requireSecret returns the rules that reject connections to the Relay and the
// TLSLoopback from other processes than HAProxy's workers, because a local process
// could claim any client address there. Workers send the secret as the unique ID of
// the connection in the PROXY header (proxy-protocol.txt 2.2.6, PP2_TYPE_UNIQUE_ID).
func (d *document) requireSecret(f haproxy.Frontend, s haproxy.Settings) []models.TCPRequestRule {
	var rules []models.TCPRequestRule
	for _, bind := range []struct {
		name string
		addr netip.AddrPort
	}{{relayName, f.Relay}, {tlsLoopbackName, f.TLSLoopback}} {
		if bind.addr.IsValid() {
			test := fmt.Sprintf("{ so_name %s } !{ fc_pp_unique_id -m str %s }", bind.name, d.word("relay secret", s.RelaySecret))
			rules = append(rules, models.TCPRequestRule{Type: "session", Action: "reject", Cond: "if", CondTest: test})
		}
	}
	return rules
}

// secretDirective sets the unique ID of every connection of a frontend.
const secretDirective = "unique-id-format"

// secretOption is the option of a server line that sends the secret.
func secretOption(s haproxy.Settings) string {
	if s.RelaySecret == "" {
		return ""
	}
	return " proxy-v2-options unique-id"
}

// addRelay adds the backend that leads to the Relay of the next worker. HAProxy does
// not reuse connections to it, because each belongs to one client.
func (d *document) addRelay(f haproxy.Frontend, s haproxy.Settings) {
	name := relayBackend(f)
	server := "server next " + f.Relay.String() + " send-proxy-v2 pool-max-conn 0" + secretOption(s)
	d.addSection(parser.Backends, name, httpDefaults, &models.Backend{Name: name})
	d.addLines(parser.Backends, name, []string{server})
}
