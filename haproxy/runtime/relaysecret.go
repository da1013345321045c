// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"path"
	"strings"

	"podgate/haproxy/cfgfile"
)

// RelaySecret returns the haproxy.Settings.RelaySecret of the worker that serves, "" if
// it has no secret. HAProxy shows it as a pattern of the rule that admits old workers
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
		return "", fmt.Errorf("observe HAProxy: %s: not one pattern", show) // the reply may contain the secret
	}
	return words[1], nil
}

// secretPattern returns the number of the ACL in podgate's configuration that compares a
// unique ID, "" without one. Its line looks like
//
//	4 () acl 'fc_pp_unique_id' file '/etc/haproxy/podgate/podgate.cfg' line 50. curr_ver=0 next_ver=0 entry_cnt=1
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
