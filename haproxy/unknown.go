// SPDX-License-Identifier: Apache-2.0

package haproxy

import "slices"

// HasUnknown reports whether there is a backend whose servers nobody can tell.
func (s State) HasUnknown() bool {
	return slices.ContainsFunc(s.Backends, func(b *Backend) bool { return b.Unknown })
}

// KeepUnknown returns the State with those servers in its Unknown backends that
// have has there, by backend.
func (s State) KeepUnknown(have map[string][]Server) State {
	if !s.HasUnknown() {
		return s
	}
	s.Backends = slices.Clone(s.Backends)
	for i, b := range s.Backends {
		if !b.Unknown {
			continue
		}
		kept := *b
		kept.Unknown, kept.Servers = false, nil
		for _, srv := range have[b.Name] {
			if srv.State != Maint {
				kept.Servers = append(kept.Servers, srv)
			}
		}
		s.Backends[i] = &kept
	}
	return s
}
