// SPDX-License-Identifier: Apache-2.0

package haproxy

import "reflect"

// What is compared with each event is compared field by field: reflect.DeepEqual
// of a whole State copies it, twice, and that was a sixth of all the memory that
// an event took. A test knows when a field is forgotten.

// alikeButLists reports whether two States are equal but for their Backends and
// Routes.
func (s *State) alikeButLists(o *State) bool {
	return s.Settings.alike(&o.Settings) &&
		alike(s.Frontends, o.Frontends) &&
		s.Node == o.Node &&
		s.RuntimeBackends == o.RuntimeBackends &&
		alike(s.Classes, o.Classes) &&
		s.Edition == o.Edition &&
		alike(s.Certificates, o.Certificates)
}

func (s *Settings) alike(o *Settings) bool {
	return s.TimeoutClient == o.TimeoutClient &&
		s.TimeoutServer == o.TimeoutServer &&
		s.TimeoutConnect == o.TimeoutConnect &&
		s.TimeoutHTTPRequest == o.TimeoutHTTPRequest &&
		s.TimeoutKeepAlive == o.TimeoutKeepAlive &&
		s.TimeoutTunnel == o.TimeoutTunnel &&
		s.HardStopAfter == o.HardStopAfter &&
		s.MaxWorkerReloads == o.MaxWorkerReloads &&
		s.NotFound == o.NotFound &&
		alike(s.ErrorFiles, o.ErrorFiles) &&
		s.AccessLog == o.AccessLog &&
		s.ClientKeepAlive == o.ClientKeepAlive &&
		alike(s.Trusted, o.Trusted) &&
		s.ForwardedHops == o.ForwardedHops &&
		s.RelaySecret == o.RelaySecret &&
		s.RedirectPort == o.RedirectPort &&
		alike(s.Peers, o.Peers)
}

// alike reports whether two lists are one, or equal.
func alike[T any](a, b []T) bool { return same(a, b) || reflect.DeepEqual(a, b) }

// alikeMaps reports whether two maps are one, or equal.
func alikeMaps[K comparable, V any](a, b map[K]V) bool {
	return isMap(a, b) || reflect.DeepEqual(a, b)
}

// same reports whether two lists are one, and not only equal.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// isMap reports whether two maps are one, and not only equal.
func isMap[K comparable, V any](a, b map[K]V) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}
