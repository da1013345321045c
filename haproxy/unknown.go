// SPDX-License-Identifier: Apache-2.0

package haproxy

// HasUnknown reports whether any backend is Unknown.
func (s State) HasUnknown() bool {
	return s.Backends.ContainsFunc(func(b *Backend) bool { return b.Unknown })
}

// KeepUnknown returns the State whose Unknown backends have the servers that HAProxy
// has for them, by backend, except for those in maint.
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

// Unknowns computes HasUnknown for successive States. It examines only the backends
// that changed since the last one. The zero value is ready to use.
type Unknowns struct {
	seen Backends // of the last State
	any  bool     // the last State HasUnknown
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
