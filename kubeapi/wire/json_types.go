// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strconv"
	"time"
)

const (
	// serviceNameLabel is the Service that an EndpointSlice belongs to.
	serviceNameLabel = "kubernetes.io/service-name"
	// localPolicy is the spec.externalTrafficPolicy with which node ports reach only
	// pods of that node.
	localPolicy = "Local"
	// ExcludeLabel keeps a node out of load balancers, whatever its value
	// (Kubernetes "Well-Known Labels, Annotations and Taints").
	ExcludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"
	// lastApplied is the annotation in which kubectl keeps a second copy of the
	// whole object; it is not read.
	lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
	// fqdn is the deprecated address type whose endpoints are names.
	fqdn = "FQDN"
)

// The json types have the few fields that are read of each object. null is the same as
// absent everywhere: a Service scaled to zero has "endpoints": null and "ports": null.

// bounded is a list of objects that has no more than about mostElements of them, by the braces
// that begin them: it is counted before it is decoded, because an object may be larger
// than its JSON.
type bounded[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *bounded[T]) UnmarshalJSON(b []byte) error {
	if bytes.Count(b, []byte("{")) > 8*mostElements {
		return errTooMany
	}
	return json.Unmarshal(b, (*[]T)(l))
}

type jsonMeta struct {
	Namespace         string            `json:"namespace"`
	Name              string            `json:"name"`
	UID               string            `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	CreationTimestamp string            `json:"creationTimestamp"`
	Annotations       map[string]string `json:"annotations"`
}

type jsonService struct {
	Metadata jsonMeta `json:"metadata"`
	Spec     struct {
		Type                  string                   `json:"type"`
		ClusterIP             string                   `json:"clusterIP"`
		IPFamilies            []string                 `json:"ipFamilies"`
		SessionAffinity       string                   `json:"sessionAffinity"`
		ExternalTrafficPolicy string                   `json:"externalTrafficPolicy"`
		SessionAffinityConfig jsonAffinity             `json:"sessionAffinityConfig"`
		Ports                 bounded[jsonServicePort] `json:"ports"`
	} `json:"spec"`
}

type jsonAffinity struct {
	ClientIP struct {
		TimeoutSeconds int32 `json:"timeoutSeconds"`
	} `json:"clientIP"`
}

type jsonServicePort struct {
	Name        string `json:"name"`
	Protocol    string `json:"protocol"`
	AppProtocol string `json:"appProtocol"`
	Port        int32  `json:"port"`
	NodePort    int32  `json:"nodePort"`

	TargetPort intOrString `json:"targetPort"`
}

// intOrString is a number or a name, as text (Kubernetes API, IntOrString).
type intOrString string

// UnmarshalJSON implements json.Unmarshaler.
func (t *intOrString) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	var n *int32
	if err := json.Unmarshal(b, &n); err != nil || n == nil {
		return err
	}
	*t = intOrString(targetPort(*n))
	return nil
}

// targetPort returns the number of a target port as text; "" for 0, which is the same as
// absent.
func targetPort(n int32) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

type jsonSlice struct {
	Metadata struct {
		Namespace       string            `json:"namespace"`
		Name            string            `json:"name"`
		ResourceVersion string            `json:"resourceVersion"`
		Labels          map[string]string `json:"labels"`
	} `json:"metadata"`
	AddressType string                    `json:"addressType"`
	Ports       bounded[jsonEndpointPort] `json:"ports"`
	Endpoints   bounded[jsonEndpoint]     `json:"endpoints"`
}

type jsonEndpointPort struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	Port     int32  `json:"port"` // absent: all ports
}

type jsonEndpoint struct {
	Addresses  []string `json:"addresses"`
	Conditions struct {
		Ready       *bool `json:"ready"`
		Serving     *bool `json:"serving"`
		Terminating *bool `json:"terminating"`
	} `json:"conditions"`
	NodeName  string `json:"nodeName"`
	TargetRef struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"targetRef"`
}

func (w *jsonService) key() Key { return Key{w.Metadata.Namespace, w.Metadata.Name} }

// object returns the Service. Ports out of range, which the API
// server never stores, are skipped.
func (w *jsonService) object(in Interner) Object {
	created, _ := time.Parse(time.RFC3339, w.Metadata.CreationTimestamp) // zero when absent
	s := &Service{
		Key:             Key{Namespace: in.intern(w.Metadata.Namespace), Name: w.Metadata.Name},
		UID:             w.Metadata.UID,
		ResourceVersion: w.Metadata.ResourceVersion,
		Created:         created,
		Type:            in.intern(w.Spec.Type),
		ClusterIP:       w.Spec.ClusterIP,
		Affinity:        in.intern(w.Spec.SessionAffinity),
		Local:           w.Spec.ExternalTrafficPolicy == localPolicy,
		AffinityTimeout: time.Duration(w.Spec.SessionAffinityConfig.ClientIP.TimeoutSeconds) * time.Second,
	}
	delete(w.Metadata.Annotations, lastApplied)
	if len(w.Metadata.Annotations) > 0 {
		s.Annotations = w.Metadata.Annotations
	}
	for _, family := range w.Spec.IPFamilies[:min(len(w.Spec.IPFamilies), maxFamilies)] {
		s.IPFamilies = append(s.IPFamilies, in.intern(family))
	}
	for _, p := range w.Spec.Ports {
		port, ok := portNumber(p.Port)
		if !ok {
			continue
		}
		nodePort, _ := portNumber(p.NodePort)
		s.Ports = append(s.Ports, ServicePort{
			Name:        in.intern(p.Name),
			Protocol:    in.intern(p.Protocol),
			AppProtocol: in.intern(p.AppProtocol),
			Port:        port,
			TargetPort:  in.intern(string(p.TargetPort)),
			NodePort:    nodePort,
		})
	}
	return s
}

func (w *jsonSlice) key() Key { return Key{w.Metadata.Namespace, w.Metadata.Name} }

// object returns the EndpointSlice. Endpoints of an FQDN slice, and those without
// a valid first address, are skipped.
func (w *jsonSlice) object(in Interner) Object {
	s := &EndpointSlice{
		Key:             Key{Namespace: in.intern(w.Metadata.Namespace), Name: w.Metadata.Name},
		ResourceVersion: w.Metadata.ResourceVersion,
		Service:         w.Metadata.Labels[serviceNameLabel],
		AddressType:     in.intern(w.AddressType),
	}
	for _, p := range w.Ports {
		if port, ok := portNumber(p.Port); ok {
			s.Ports = append(s.Ports, EndpointPort{Name: in.intern(p.Name), Protocol: in.intern(p.Protocol), Port: port})
		}
	}
	if w.AddressType == fqdn {
		return s
	}
	s.Endpoints = make([]Endpoint, 0, len(w.Endpoints))
	for i := range w.Endpoints {
		if e, ok := w.Endpoints[i].endpoint(in); ok {
			s.Endpoints = append(s.Endpoints, e)
		}
	}
	return s.withoutEmpty()
}

// withoutEmpty makes empty lists nil, so that null, absent and empty are equal.
func (s *EndpointSlice) withoutEmpty() *EndpointSlice {
	if len(s.Ports) == 0 {
		s.Ports = nil
	}
	if len(s.Endpoints) == 0 {
		s.Endpoints = nil
	}
	return s
}

// endpoint returns w with the conditions as the API defines them when absent
// (Kubernetes API reference, EndpointConditions), and false without an address.
func (w *jsonEndpoint) endpoint(in Interner) (Endpoint, bool) {
	if len(w.Addresses) == 0 {
		return Endpoint{}, false
	}
	addr, err := netip.ParseAddr(w.Addresses[0])
	if err != nil {
		return Endpoint{}, false
	}
	ready := valueOr(w.Conditions.Ready, true)
	e := Endpoint{
		Addr:        addr.Unmap(),
		Ready:       ready,
		Serving:     valueOr(w.Conditions.Serving, ready),
		Terminating: valueOr(w.Conditions.Terminating, false),
		Node:        in.intern(w.NodeName),
	}
	if w.TargetRef.Kind == "Pod" {
		e.Pod = w.TargetRef.Name
	}
	return e, true
}

func valueOr(p *bool, absent bool) bool {
	if p == nil {
		return absent
	}
	return *p
}

func portNumber(n int32) (uint16, bool) {
	if n < 1 || n > 65535 {
		return 0, false
	}
	return uint16(n), true
}

type jsonNode struct {
	Metadata struct {
		Name            string            `json:"name"`
		ResourceVersion string            `json:"resourceVersion"`
		Labels          map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		PodCIDRs []string `json:"podCIDRs"`
	} `json:"spec"`
	Status struct {
		Addresses  bounded[jsonTyped] `json:"addresses"`
		Conditions bounded[jsonTyped] `json:"conditions"`
	} `json:"status"`
}

// jsonTyped is an address or a condition of a Node.
type jsonTyped struct {
	Type    string `json:"type"`
	Address string `json:"address"`
	Status  string `json:"status"`
}

func (w *jsonNode) key() Key { return Key{Name: w.Metadata.Name} }

func (w *jsonNode) object(Interner) Object {
	n := &Node{Name: w.Metadata.Name, ResourceVersion: w.Metadata.ResourceVersion}
	_, n.Excluded = w.Metadata.Labels[ExcludeLabel]
	for _, cidr := range w.Spec.PodCIDRs {
		n.addPodCIDR(cidr)
	}
	for _, a := range w.Status.Addresses {
		n.addAddress(a.Type, a.Address)
	}
	for _, c := range w.Status.Conditions {
		n.addCondition(c.Type, c.Status)
	}
	return n
}

func (n *Node) addAddress(kind, text string) {
	if addr, err := netip.ParseAddr(text); kind == "InternalIP" && err == nil {
		n.Addrs = append(n.Addrs, addr.Unmap())
	}
}

func (n *Node) addPodCIDR(text string) {
	if cidr, err := netip.ParsePrefix(text); err == nil {
		n.PodCIDRs = append(n.PodCIDRs, cidr)
	}
}

func (n *Node) addCondition(kind, status string) {
	if kind == "Ready" {
		n.Ready = status == "True"
	}
}
