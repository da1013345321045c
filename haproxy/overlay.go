// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"net/netip"
	"slices"
)

// WithoutRelay returns the State without the Relay of any Frontend.
func (s State) WithoutRelay() State {
	s.Settings.RelaySecret = ""
	s.Frontends = slices.Clone(s.Frontends)
	for i := range s.Frontends {
		s.Frontends[i].Relay = netip.AddrPort{}
	}
	return s
}

// WithRelaySecret returns the State with the secret of its Relays and TLSLoopbacks,
// if it has any.
func (s State) WithRelaySecret(secret string) State {
	if slices.ContainsFunc(s.Frontends, func(f Frontend) bool { return f.Relay.IsValid() || f.TLSLoopback.IsValid() }) {
		s.Settings.RelaySecret = secret
	}
	return s
}

// SetAside returns the State with the named backends, and the TCP frontends that
// lead to them, as they are in loaded, with their present servers and routes. It
// omits a named backend that is not in loaded, and the routes to it.
func (s State) SetAside(names map[string]bool, loaded State) State {
	if len(names) == 0 {
		return s
	}
	out := s
	var backends []*Backend
	left := map[string]bool{}
	for _, b := range s.Backends.All() {
		if names[b.Name] {
			old, ok := loaded.Backend(b.Name)
			if !ok {
				left[b.Name] = true
				continue
			}
			old.Servers, old.Spare = b.Servers, ""
			if old.Policy.Mode == HTTP {
				// Entries of maps need no reload.
				old.TimeoutServer, old.TimeoutTunnel, old.HSTS, old.Cookie = b.TimeoutServer, b.TimeoutTunnel, b.HSTS, b.Cookie
			}
			b = &old
		}
		backends = append(backends, b)
	}
	out.Backends = ListOf(backends...)
	out.Routes = slices.DeleteFunc(slices.Clone(s.Routes), func(r Route) bool {
		return slices.ContainsFunc(r.Backends(), func(name string) bool { return left[name] })
	})
	out.Frontends = slices.DeleteFunc(slices.Clone(s.Frontends), func(f Frontend) bool { return names[f.Backend] })
	for _, f := range loaded.Frontends {
		taken := slices.ContainsFunc(out.Frontends, func(o Frontend) bool { return o.sameListener(f) })
		if _, ok := out.Backend(f.Backend); ok && names[f.Backend] && !taken {
			out.Frontends = append(out.Frontends, f)
		}
	}
	slices.SortFunc(out.Frontends, func(a, b Frontend) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
