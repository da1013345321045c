// SPDX-License-Identifier: Apache-2.0

package wire

// slice reads a discovery.k8s.io/v1 EndpointSlice.
func (d *protoDecoder) slice(b []byte) (*EndpointSlice, error) {
	s := &EndpointSlice{}
	endpoints, ports, err := d.sliceHead(b, s)
	if err != nil {
		return nil, err
	}
	s.Key = d.key()
	s.ResourceVersion = string(d.meta.version)
	s.Service = string(d.meta.service)
	if s.AddressType == fqdn {
		endpoints = 0
	}
	if endpoints > 0 {
		s.Endpoints = make([]Endpoint, 0, endpoints)
	}
	if ports > 0 {
		s.Ports = make([]EndpointPort, 0, ports)
	}
	d.pods.reset()
	m := message{rest: b}
	for m.next() {
		switch {
		case m.num == 2 && endpoints > 0:
			err = d.endpoint(m.bytes, s)
		case m.num == 3:
			err = d.endpointPort(m.bytes, s)
		}
		if err != nil {
			return nil, err
		}
	}
	d.pods.assign(s.Endpoints)
	return s.withoutEmpty(), nil
}

// sliceHead reads all of a slice but its endpoints and ports, which it counts.
func (d *protoDecoder) sliceHead(b []byte, s *EndpointSlice) (endpoints, ports int, err error) {
	m := message{rest: b}
	for m.next() {
		switch m.num {
		case 1:
			err = d.meta.read(m.bytes)
		case 2:
			endpoints++
		case 3:
			ports++
		case 4:
			s.AddressType = d.strings.ofBytes(m.bytes)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return endpoints, ports, m.err
}

func (d *protoDecoder) endpointPort(b []byte, s *EndpointSlice) error {
	var p EndpointPort
	var port int32
	m := message{rest: b}
	for m.next() {
		switch m.num {
		case 1:
			p.Name = d.strings.ofBytes(m.bytes)
		case 2:
			p.Protocol = d.strings.ofBytes(m.bytes)
		case 3:
			port = int32(m.varint)
		}
	}
	var ok bool
	if p.Port, ok = portNumber(port); ok {
		s.Ports = append(s.Ports, p)
	}
	return m.err
}

// endpoint adds one endpoint to s, unless its first address is none.
func (d *protoDecoder) endpoint(b []byte, s *EndpointSlice) error {
	var e Endpoint
	var address, pod []byte
	conditions := absentConditions()
	m := message{rest: b}
	for m.next() {
		var err error
		switch m.num {
		case 1:
			if address == nil {
				address = m.bytes
			}
		case 2:
			err = conditions.read(m.bytes)
		case 4:
			pod, err = podName(m.bytes)
		case 6:
			e.Node = d.strings.ofBytes(m.bytes)
		}
		if err != nil {
			return err
		}
	}
	if m.err != nil {
		return m.err
	}
	addr, err := parseAddr(address)
	if err != nil {
		return nil
	}
	e.Addr = addr.Unmap()
	e.Ready, e.Serving, e.Terminating = conditions.resolve()
	s.Endpoints = append(s.Endpoints, e)
	d.pods.add(pod)
	return nil
}

// conditions are EndpointConditions; what is absent is negative.
type conditions struct{ ready, serving, terminating int8 }

func absentConditions() conditions { return conditions{-1, -1, -1} }

func (c *conditions) read(b []byte) error {
	m := message{rest: b}
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
	return m.err
}

// resolve returns the conditions as the API defines them when absent (Kubernetes
// API reference, EndpointConditions).
func (c conditions) resolve() (ready, serving, terminating bool) {
	ready = c.ready != 0
	serving = c.serving == 1 || c.serving < 0 && ready
	return ready, serving, c.terminating == 1
}

// podName reads an ObjectReference: its name if it is of a Pod, else nil.
func podName(b []byte) ([]byte, error) {
	var kind, name []byte
	m := message{rest: b}
	for m.next() {
		switch m.num {
		case 1:
			kind = m.bytes
		case 3:
			name = m.bytes
		}
	}
	if string(kind) != "Pod" {
		name = nil
	}
	return name, m.err
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
