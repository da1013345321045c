// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"strings"

	"podgate/kubeapi"
)

// families returns the address families that a Service has, the one to use first: that
// of podgate.toml if the Service has it, otherwise the Service's own (KEP-563). A
// Service whose ipFamilies are not known may have both, that of its cluster IP first.
func families(in *input, svc *kubeapi.Service) []string {
	all := slices.Clone(svc.IPFamilies)
	if len(all) == 0 {
		all = []string{kubeapi.IPv4, kubeapi.IPv6}
		if strings.Contains(svc.ClusterIP, ":") {
			slices.Reverse(all)
		}
	}
	if len(all) == 2 && strings.EqualFold(all[1], string(in.Upstream.IPFamily)) {
		slices.Reverse(all)
	}
	return all
}

// slicesOfFamily returns the slices of family, because a pod of two families has an
// endpoint in a slice of each and is one server. If these have no endpoint for the
// port, it returns the slices of the other family.
func slicesOfFamily(family string, p kubeapi.ServicePort, all []*kubeapi.EndpointSlice) []*kubeapi.EndpointSlice {
	other := func(s *kubeapi.EndpointSlice) bool { return s.AddressType != family }
	if !slices.ContainsFunc(all, other) {
		return all
	}
	own := slices.DeleteFunc(slices.Clone(all), other)
	if slices.ContainsFunc(own, func(s *kubeapi.EndpointSlice) bool {
		_, ok := slicePort(s, p.Name)
		return ok && len(s.Endpoints) > 0
	}) {
		return own
	}
	return slices.DeleteFunc(slices.Clone(all), func(s *kubeapi.EndpointSlice) bool { return s.AddressType == family })
}
