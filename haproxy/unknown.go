// SPDX-License-Identifier: Apache-2.0

package haproxy

// HasUnknown reports whether there is a backend whose servers nobody can tell.
func (s State) HasUnknown() bool {
	return s.Backends.ContainsFunc(func(b *Backend) bool { return b.Unknown })
}

// KeepUnknown returns the State with those servers in its Unknown backends that
// have has there, by backend.
func (s State) KeepUnknown(have map[string][]Server) State {
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

// Unknowns tells of one State after the other whether it HasUnknown, and looks
// only at what changed. The zero value has seen none.
type Unknowns struct {
	seen Backends
	any  bool // of those
}

// In reports whether s HasUnknown.
func (u *Unknowns) In(s State) bool {
	if u.any || s.Backends.Len() != u.seen.Len() {
		u.any = s.HasUnknown()
	} else {
		for i := range s.Backends.Changed(u.seen) {
			u.any = u.any || s.Backends.At(i).Unknown
		}
	}
	u.seen = s.Backends
	return u.any
}
