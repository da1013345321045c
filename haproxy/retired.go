// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"slices"
)

// WithRetired returns the State together with those backends of loaded that it
// lacks, without servers. HAProxy cannot drop a backend before it is next
// reloaded; with them in it, the file is what the process has loaded.
func (s State) WithRetired(loaded State) State {
	backends := slices.Clone(s.Backends)
	for _, b := range loaded.Backends {
		if _, ok := s.Backend(b.Name); ok {
			continue
		}
		b.Servers = nil
		if b.Policy.Mode == HTTP {
			b.TimeoutServer = 0 // stands in a map, which has it no more
		}
		backends = append(backends, b)
	}
	slices.SortFunc(backends, func(a, b Backend) int { return cmp.Compare(a.Name, b.Name) })
	s.Backends = backends
	return s
}
