// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"path"
	"strings"

	"podgate/haproxy/cfgfile"
)

// RelaySecret returns what the worker that serves was loaded with as
// haproxy.Settings.RelaySecret, "" for none. It stands in the rule that lets the
// workers in that a reload retired, as all patterns of a configuration do
// (management.txt "show acl").
func (x exchanger) RelaySecret(ctx context.Context) (string, error) {
	const list = "show acl"
	replies, err := x.exchange(ctx, list)
	if err != nil {
		return "", fmt.Errorf("observe HAProxy: %s: %w", list, err)
	}
	id := secretPattern(replies[0])
	if id == "" {
		return "", nil
	}
	show := list + " #" + id
	if replies, err = x.exchange(ctx, show); err != nil {
		return "", fmt.Errorf("observe HAProxy: %s: %w", show, err)
	}
	words := strings.Fields(replies[0]) // a pointer, and the pattern
	if len(words) != 2 {
		return "", fmt.Errorf("observe HAProxy: %s: not one pattern", show) // it may be secret
	}
	return words[1], nil
}

// secretPattern finds the pattern of our configuration that a unique ID is
// compared with in a line such as
//
//	4 () acl 'fc_pp_unique_id' file '/etc/haproxy/podgate/podgate.cfg' line 50. curr_ver=0 next_ver=0 entry_cnt=1
//
// and returns its number, "" where there is none.
func secretPattern(reply string) string {
	for line := range strings.Lines(reply) {
		id, rest, _ := strings.Cut(line, " ")
		if _, file, ok := strings.Cut(rest, "acl 'fc_pp_unique_id' file '"); ok {
			if file, _, ok = strings.Cut(file, "' line "); ok && path.Base(file) == cfgfile.ConfigFile {
				return id
			}
		}
	}
	return ""
}
