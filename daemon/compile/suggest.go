// SPDX-License-Identifier: Apache-2.0

package compile

import "podgate/daemon/config"

// suggest returns the key that was probably meant, "" where none is near.
func suggest(written string) key {
	if len(written) > maxShown {
		return ""
	}
	var names []string
	for _, k := range keys() {
		names = append(names, string(k))
	}
	return key(config.Nearest(written, names))
}
