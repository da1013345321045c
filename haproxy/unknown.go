// SPDX-License-Identifier: Apache-2.0

package haproxy

// HasUnknown reports whether there is a backend whose servers nobody can tell.
func (s State) HasUnknown() bool {
	return s.Backends.ContainsFunc(func(b *Backend) bool { return b.Unknown })
}

// KeepUnknown returns the State with those servers in its Unknown backends that
// have has there, by backend.
func (s State) KeepUnknown(have map[string][]Server) State {
	if !s.HasUnknown() {
		return s
	}
	known := map[int]*Backend{}
	for i, b := range s.Backends.All() {
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
		known[i] = &kept
	}
	s.Backends = s.Backends.With(known)
	return s
}
