// SPDX-License-Identifier: Apache-2.0

package haproxy

import "reflect"

// The functions of this file run for every event. They compare field by field, as
// reflect.DeepEqual copies a whole State twice, which was a sixth of the memory that
// an event allocates. TestEqualComparesEveryField fails if they miss a field.

// equalButLists reports whether two States are equal except for their Backends and
// Routes.
func (s *State) equalButLists(o *State) bool {
	return s.Settings.equal(&o.Settings) &&
		equal(s.Frontends, o.Frontends) &&
		equal(s.HeldHosts, o.HeldHosts) &&
		s.Node == o.Node &&
		s.RuntimeBackends == o.RuntimeBackends &&
		s.SpareBackends == o.SpareBackends &&
		equal(s.Classes, o.Classes) &&
		s.DynamicHash == o.DynamicHash &&
		equal(s.Certificates, o.Certificates) &&
		equal(s.HeaderNames, o.HeaderNames)
}

func (s *Settings) equal(o *Settings) bool {
	return s.TimeoutClient == o.TimeoutClient &&
		s.TimeoutServer == o.TimeoutServer &&
		s.TimeoutConnect == o.TimeoutConnect &&
		s.TimeoutQueue == o.TimeoutQueue &&
		s.TimeoutHTTPRequest == o.TimeoutHTTPRequest &&
		s.TimeoutKeepAlive == o.TimeoutKeepAlive &&
		s.TimeoutTunnel == o.TimeoutTunnel &&
		s.HardStopAfter == o.HardStopAfter &&
		s.MaxWorkerReloads == o.MaxWorkerReloads &&
		s.DefaultStatus == o.DefaultStatus &&
		s.NotFound == o.NotFound &&
		s.RejectAmbiguous == o.RejectAmbiguous &&
		equal(s.ErrorFiles, o.ErrorFiles) &&
		s.AccessLog == o.AccessLog &&
		s.ClientKeepAlive == o.ClientKeepAlive &&
		equal(s.Trusted, o.Trusted) &&
		s.ForwardedHops == o.ForwardedHops &&
		s.PassForwarded == o.PassForwarded &&
		s.RelaySecret == o.RelaySecret &&
		s.HoldHosts == o.HoldHosts &&
		s.StatePerBackend == o.StatePerBackend &&
		s.RedirectPort == o.RedirectPort &&
		equal(s.Peers, o.Peers) &&
		s.Rules == o.Rules
}

// equal reports whether two slices are equal. It is quick if they are identical.
func equal[T any](a, b []T) bool { return Same(a, b) || reflect.DeepEqual(a, b) }

// equalContent reports whether two pointers are equal, or what they point to.
func equalContent[T any](a, b *T) bool { return a == b || reflect.DeepEqual(a, b) }

// equalMaps reports whether two maps are equal. It is quick if they are identical.
func equalMaps[K comparable, V any](a, b map[K]V) bool {
	return sameMap(a, b) || reflect.DeepEqual(a, b)
}

// Same reports whether two slices are identical, and not only equal: they share
// their elements.
func Same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// sameMap reports whether two maps are identical, and not only equal.
func sameMap[K comparable, V any](a, b map[K]V) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}
