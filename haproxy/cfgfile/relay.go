// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
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
// none of them is for it to decide. "option forwardfor" is no rule, and would
// name the client twice.
func relayed(rules []models.HTTPRequestRule) []models.HTTPRequestRule {
	rules = slices.Insert(rules, 0,
		models.HTTPRequestRule{Type: "set-var", VarScope: "txn", VarName: "podgate_relay", VarExpr: "bool(true)", Cond: "if", CondTest: "{ stopping }"},
		models.HTTPRequestRule{Type: "allow", Cond: "if", CondTest: relays},
	)
	return append(rules, models.HTTPRequestRule{Type: "add-header", HdrName: "X-Forwarded-For", HdrFormat: "%[src]"})
}

func relayBackend(f haproxy.Frontend) string { return "podgate-relay-" + f.Name }

// addRelay adds the backend that leads to the same frontend of the next worker.
// Connections to it are not kept: each belongs to one client.
func (d *document) addRelay(f haproxy.Frontend) {
	name := relayBackend(f)
	d.addSection(parser.Backends, name, httpDefaults, &models.Backend{Name: name})
	d.addLines(parser.Backends, name, []string{"server next " + f.Relay.String() + " send-proxy-v2 pool-max-conn 0"})
}
