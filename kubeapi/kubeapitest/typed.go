// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"strconv"
	"time"

	"podgate/kubeapi"
)

// SetService creates or replaces a Service. Its resourceVersion is ignored; its
// uid and creation time are set by the server if they are empty. It has no labels; use
// Apply for those.
func (s *Server) SetService(svc kubeapi.Service) error {
	meta := metadata(svc.Key)
	if svc.UID != "" {
		meta["uid"] = svc.UID
	}
	if !svc.Created.IsZero() {
		meta["creationTimestamp"] = svc.Created.UTC().Format(time.RFC3339)
	}
	if len(svc.Annotations) > 0 {
		meta["annotations"] = svc.Annotations
	}
	spec := map[string]any{"ports": servicePorts(svc.Ports)}
	setText(spec, "type", svc.Type)
	setText(spec, "clusterIP", svc.ClusterIP)
	setText(spec, "sessionAffinity", svc.Affinity)
	if len(svc.IPFamilies) > 0 {
		spec["ipFamilies"] = svc.IPFamilies
	}
	if svc.Local {
		spec["externalTrafficPolicy"] = "Local"
	}
	if svc.AffinityTimeout != 0 {
		spec["sessionAffinityConfig"] = map[string]any{
			"clientIP": map[string]any{"timeoutSeconds": int(svc.AffinityTimeout.Seconds())},
		}
	}
	return s.ApplyObject(map[string]any{"kind": "Service", "metadata": meta, "spec": spec})
}

func servicePorts(ports []kubeapi.ServicePort) []any {
	var all []any
	for _, p := range ports {
		port := map[string]any{"port": p.Port}
		setText(port, "name", p.Name)
		setText(port, "protocol", p.Protocol)
		setText(port, "appProtocol", p.AppProtocol)
		setText(port, "targetPort", p.TargetPort)
		if n, err := strconv.Atoi(p.TargetPort); err == nil {
			port["targetPort"] = n
		}
		if p.NodePort != 0 {
			port["nodePort"] = p.NodePort
		}
		all = append(all, port)
	}
	return all
}

// SetNode creates or replaces a Node. Its resourceVersion is ignored.
func (s *Server) SetNode(n kubeapi.Node) error {
	meta := map[string]any{"name": n.Name}
	if n.Excluded {
		meta["labels"] = map[string]any{"node.kubernetes.io/exclude-from-external-load-balancers": ""}
	}
	ready := "False"
	if n.Ready {
		ready = "True"
	}
	status := map[string]any{"conditions": []any{
		map[string]any{"type": "MemoryPressure", "status": "False"},
		map[string]any{"type": "Ready", "status": ready},
	}}
	addresses := []any{map[string]any{"type": "Hostname", "address": n.Name}}
	for _, a := range n.Addrs {
		addresses = append(addresses, map[string]any{"type": "InternalIP", "address": a.String()})
	}
	status["addresses"] = addresses
	var cidrs []any
	for _, cidr := range n.PodCIDRs {
		cidrs = append(cidrs, cidr.String())
	}
	return s.ApplyObject(map[string]any{"kind": "Node", "metadata": meta, "spec": map[string]any{"podCIDRs": cidrs}, "status": status})
}

// SetSlice creates or replaces an EndpointSlice. Its resourceVersion is ignored;
// without an address type it is IPv4.
func (s *Server) SetSlice(slice kubeapi.EndpointSlice) error {
	meta := metadata(slice.Key)
	if slice.Service != "" {
		meta["labels"] = map[string]any{"kubernetes.io/service-name": slice.Service}
	}
	if slice.AddressType == "" {
		slice.AddressType = "IPv4"
	}
	var ports []any // null without ports, as the endpointslice controller writes it
	for _, p := range slice.Ports {
		port := map[string]any{"port": p.Port, "name": p.Name}
		setText(port, "protocol", p.Protocol)
		ports = append(ports, port)
	}
	var endpoints []any
	for _, e := range slice.Endpoints {
		endpoints = append(endpoints, endpoint(e))
	}
	return s.ApplyObject(map[string]any{
		"kind":        "EndpointSlice",
		"metadata":    meta,
		"addressType": slice.AddressType,
		"ports":       ports,
		"endpoints":   endpoints,
	})
}

func endpoint(e kubeapi.Endpoint) map[string]any {
	o := map[string]any{
		"addresses":  []any{e.Addr.String()},
		"conditions": map[string]any{"ready": e.Ready, "serving": e.Serving, "terminating": e.Terminating},
	}
	setText(o, "nodeName", e.Node)
	if e.Pod != "" {
		o["targetRef"] = map[string]any{"kind": "Pod", "name": e.Pod}
	}
	return o
}

func metadata(key kubeapi.Key) map[string]any {
	meta := map[string]any{"name": key.Name}
	setText(meta, "namespace", key.Namespace)
	return meta
}

// setText sets a string unless it is empty.
func setText(o map[string]any, name, value string) {
	if value != "" {
		o[name] = value
	}
}
