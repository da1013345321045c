// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"net/netip"
	"time"
)

// Key names a namespaced object.
type Key struct {
	Namespace string
	Name      string
}

// String returns "namespace/name", the way kubectl and our errors name an object.
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Compare orders keys by namespace, then name.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Namespace, other.Namespace), cmp.Compare(k.Name, other.Name))
}

// Service has the fields that podgate reads of a core/v1 Service. It is never changed
// after it was decoded: a changed Service is a new value.
type Service struct {
	Key
	UID             string
	ResourceVersion string
	Created         time.Time         // metadata.creationTimestamp, whole seconds; zero when absent
	Annotations     map[string]string // possibly nil; without kubectl's last-applied-configuration
	Type            string            // spec.type; "" reads as ClusterIP
	ClusterIP       string            // spec.clusterIP; "None" for a headless Service
	IPFamilies      []string          // spec.ipFamilies, IPv4 and IPv6, its own first; nil when absent
	Affinity        string            // spec.sessionAffinity: "", "None" or "ClientIP"
	AffinityTimeout time.Duration     // spec.sessionAffinityConfig.clientIP.timeoutSeconds; zero when absent
	Local           bool              // spec.externalTrafficPolicy is Local: a node port reaches only pods of that node
	Ports           []ServicePort
}

// Address families, as in spec.ipFamilies and addressType.
const (
	IPv4 = "IPv4"
	IPv6 = "IPv6"
)

// ServicePort is one port of a Service.
type ServicePort struct {
	Name        string // may be "" when the Service has a single port
	Protocol    string // "TCP", "UDP" or "SCTP"; "" reads as TCP
	AppProtocol string // "" when absent
	Port        uint16
	TargetPort  string // of the pods: a number, or the name of a container port; "" when absent
	NodePort    uint16 // zero when absent
}

// EndpointSlice has the fields that podgate reads of a discovery.k8s.io/v1 EndpointSlice.
// It is never changed after it was decoded.
type EndpointSlice struct {
	Key
	ResourceVersion string
	Service         string // label kubernetes.io/service-name; "" when absent
	AddressType     string // IPv4, IPv6 or "FQDN"
	Ports           []EndpointPort
	Endpoints       []Endpoint
}

// EndpointPort is one port that every endpoint of a slice answers on. Ports
// without a number (null means all ports) are not decoded.
type EndpointPort struct {
	Name     string // equals the Service port's name; "" when that has none
	Protocol string // "" reads as TCP
	Port     uint16
}

// Endpoint is one pod of a Service. Conditions that are absent are as the API defines
// them: ready true, serving as ready, terminating false.
type Endpoint struct {
	Addr        netip.Addr // addresses[0], the only one that counts; invalid in an FQDN slice
	Ready       bool
	Serving     bool
	Terminating bool
	Node        string // nodeName; "" when absent
	Pod         string // targetRef.name where targetRef is a Pod, else ""
}

// Node has the fields that podgate reads of a core/v1 Node. It is never changed after it
// was decoded.
type Node struct {
	Name            string
	ResourceVersion string
	Addrs           []netip.Addr   // its InternalIPs, in the order of status.addresses; nil without one
	Ready           bool           // condition Ready is True
	PodCIDRs        []netip.Prefix // spec.podCIDRs, which not every network uses
	Excluded        bool           // has the label that excludes it from load balancers
}

// Addr returns the first InternalIP of an address family, IPv4 or IPv6; false without
// one.
func (n *Node) Addr(family string) (netip.Addr, bool) {
	for _, a := range n.Addrs {
		if a.Is4() == (family == IPv4) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// Object is a *Service, an *EndpointSlice or a *Node.
type Object interface {
	ObjectKey() Key
	Version() string // resourceVersion
}

// ObjectKey returns k, for Object.
func (k Key) ObjectKey() Key { return k }

// Version returns ResourceVersion.
func (s *Service) Version() string { return s.ResourceVersion }

// Version returns ResourceVersion.
func (s *EndpointSlice) Version() string { return s.ResourceVersion }

// ObjectKey returns the key of a Node, which is in no namespace.
func (n *Node) ObjectKey() Key { return Key{Name: n.Name} }

// Version returns ResourceVersion.
func (n *Node) Version() string { return n.ResourceVersion }
