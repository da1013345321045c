// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"podgate/haproxy/cfgfile"
)

// LocalPeer returns the name by which HAProxy finds itself among the peers: that of
// -L, or of "localpeer" in a global section, or else of the host (configuration.txt
// "localpeer"). It is "" if HAProxy does not show it.
func (x exchanger) LocalPeer(ctx context.Context) (string, error) {
	const variable = "HAPROXY_LOCALPEER"
	replies, err := x.exchange(ctx, "show env "+variable)
	if err != nil {
		return "", fmt.Errorf("observe HAProxy: %w", err)
	}
	name, _ := strings.CutPrefix(firstLine(replies[0]), variable+"=")
	if name == firstLine(replies[0]) {
		return "", nil
	}
	return name, nil
}

// StickTablesSynced reports whether the worker that serves has received the stick
// tables of its predecessor and of the other edge nodes, for each of which HAProxy
// waits 5 seconds. Only then it passes the tables to the worker of the next reload
// (configuration.txt "peers", management.txt "show peers"). It is true without peers.
func (x exchanger) StickTablesSynced(ctx context.Context) (bool, error) {
	const command = "show peers " + cfgfile.PeersSection
	replies, err := x.exchange(ctx, command)
	if err != nil {
		return false, fmt.Errorf("observe HAProxy: %w", err)
	}
	return stickTablesSynced(replies[0]), nil
}

// stickTablesSynced parses the flags of the peers section. The two lowest bits mean that
// there is nothing to receive from the predecessor and from other nodes. It returns true
// for another reply, so that no reload waits because of it.
func stickTablesSynced(reply string) bool {
	const finished = 3
	head, _, _ := strings.Cut(reply, "\n")
	_, rest, found := strings.Cut(head, " flags=0x")
	text, _, _ := strings.Cut(rest, " ")
	flags, err := strconv.ParseUint(text, 16, 32)
	return !found || err != nil || flags&finished == finished
}
