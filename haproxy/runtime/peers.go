// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"podgate/haproxy/cfgfile"
)

// LocalPeer is the name by which HAProxy looks for itself among peers: that of -L,
// of "localpeer" in a global section, or else of the host (configuration.txt
// "localpeer"). It is "" where HAProxy does not tell.
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

// StickTablesSynced reports whether the worker that serves would hand its stick tables on
// to the one that a reload puts in its place. It does so only once it has learned
// itself, from its own predecessor and then from the other edge nodes, for each of
// which HAProxy waits 5 seconds (configuration.txt "peers", management.txt "show
// peers"). It is true where there are no peers of ours.
func (x exchanger) StickTablesSynced(ctx context.Context) (bool, error) {
	const command = "show peers " + cfgfile.PeersSection
	replies, err := x.exchange(ctx, command)
	if err != nil {
		return false, fmt.Errorf("observe HAProxy: %w", err)
	}
	return stickTablesSynced(replies[0]), nil
}

// stickTablesSynced reads the flags of the section, whose two lowest bits are that there
// is nothing to learn of the predecessor and of others. What does not look like
// that is taken for a yes: nobody is to wait for it.
func stickTablesSynced(reply string) bool {
	const finished = 3
	head, _, _ := strings.Cut(reply, "\n")
	_, rest, found := strings.Cut(head, " flags=0x")
	text, _, _ := strings.Cut(rest, " ")
	flags, err := strconv.ParseUint(text, 16, 32)
	return !found || err != nil || flags&finished == finished
}
