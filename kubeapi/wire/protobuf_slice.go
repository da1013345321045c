// SPDX-License-Identifier: Apache-2.0

package wire

// slice reads a discovery.k8s.io/v1 EndpointSlice, in two passes: the first counts.
func (d *protoDecoder) slice(m message) *EndpointSlice {
	s := &EndpointSlice{}
	endpoints, ports := d.sliceHead(m, s)
	s.Key = d.key()
	s.ResourceVersion = string(d.meta.version)
	s.Service = string(d.meta.service)
	if s.AddressType == fqdn {
		endpoints = 0
	}
	if endpoints > mostElements || ports > mostElements {
		d.err = errTooMany
		return s
	}
	if endpoints > 0 {
		s.Endpoints = make([]Endpoint, 0, endpoints)
	}
	if ports > 0 {
		s.Ports = make([]EndpointPort, 0, ports)
	}
	d.pods.reset()
	for m.next() {
		switch {
		case m.num == 2 && endpoints > 0:
			d.endpoint(m.inner(), s)
		case m.num == 3:
			d.endpointPort(m.inner(), s)
		}
	}
	d.pods.assign(s.Endpoints)
	return s.withoutEmpty()
}

// sliceHead reads all of a slice except its endpoints and ports, which it counts.
func (d *protoDecoder) sliceHead(m message, s *EndpointSlice) (endpoints, ports int) {
	for m.next() {
		switch m.num {
		case 1:
			d.meta.read(m.inner())
		case 2:
			endpoints++
		case 3:
			ports++
		case 4:
			s.AddressType = d.strings.internBytes(m.bytes)
		}
	}
	return endpoints, ports
}

func (d *protoDecoder) endpointPort(m message, s *EndpointSlice) {
	var p EndpointPort
	var port int32
	for m.next() {
		switch m.num {
		case 1:
			p.Name = d.strings.internBytes(m.bytes)
		case 2:
			p.Protocol = d.strings.internBytes(m.bytes)
		case 3:
			port = int32(m.varint)
		}
	}
	var ok bool
	if p.Port, ok = portNumber(port); ok {
		s.Ports = append(s.Ports, p)
	}
}

// endpoint adds one endpoint to s, unless its first address is invalid.
func (d *protoDecoder) endpoint(m message, s *EndpointSlice) {
	var e Endpoint
	var address, pod []byte
	conditions := absentConditions()
	for m.next() {
		switch m.num {
		case 1:
			if address == nil {
				address = m.bytes
			}
		case 2:
			conditions.read(m.inner())
		case 4:
			pod = podName(m.inner())
		case 6:
			e.Node = d.strings.internBytes(m.bytes)
		}
	}
	addr, err := parseAddr(address)
	if err != nil {
		return
	}
	e.Addr = addr.Unmap()
	e.Ready, e.Serving, e.Terminating = conditions.resolve()
	s.Endpoints = append(s.Endpoints, e)
	d.pods.add(pod)
}

// conditions are EndpointConditions: 1 is true, 0 false, -1 absent.
type conditions struct{ ready, serving, terminating int8 }

func absentConditions() conditions { return conditions{-1, -1, -1} }

func (c *conditions) read(m message) {
	for m.next() {
		var value int8
		if m.varint != 0 {
			value = 1
		}
		switch m.num {
		case 1:
			c.ready = value
		case 2:
			c.serving = value
		case 3:
			c.terminating = value
		}
	}
}

// resolve returns the conditions as the API defines them when absent (Kubernetes
// API reference, EndpointConditions).
func (c conditions) resolve() (ready, serving, terminating bool) {
	ready = c.ready != 0
	serving = c.serving == 1 || c.serving < 0 && ready
	return ready, serving, c.terminating == 1
}

// podName returns the name in an ObjectReference to a Pod, else nil.
func podName(m message) (name []byte) {
	var kind []byte
	for m.next() {
		switch m.num {
		case 1:
			kind = m.bytes
		case 3:
			name = m.bytes
		}
	}
	if string(kind) != "Pod" {
		return nil
	}
	return name
}

// podNames gathers the names of one slice's pods, so that they are kept in one
// piece of memory and not in one each.
type podNames struct {
	text []byte
	ends []int
}

func (p *podNames) reset() { p.text, p.ends = p.text[:0], p.ends[:0] }

func (p *podNames) add(name []byte) {
	p.text = append(p.text, name...)
	p.ends = append(p.ends, len(p.text))
}

// assign gives endpoints, as many as there are names, their names.
func (p *podNames) assign(endpoints []Endpoint) {
	text, start := string(p.text), 0
	for i, end := range p.ends {
		endpoints[i].Pod = text[start:end]
		start = end
	}
}
