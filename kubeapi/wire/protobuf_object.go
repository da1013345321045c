// SPDX-License-Identifier: Apache-2.0

package wire

import "time"

// protoDecoder decodes objects from buffers that are reused: what it returns shares
// nothing with them. It may not be used concurrently.
type protoDecoder struct {
	resource Resource
	strings  Interner

	meta protoMeta
	pods podNames
	err  error // of the present object
}

// object decodes one object. On an error the key is what could be read of it, possibly
// nothing.
func (d *protoDecoder) object(b []byte) (o Object, _ Key, _ error) {
	d.meta, d.err = protoMeta{annotations: d.meta.annotations[:0]}, nil
	m := message{rest: b, err: &d.err}
	switch d.resource {
	case Services:
		o = d.service(m)
	case Nodes:
		o = d.node(m)
	default:
		o = d.slice(m)
	}
	if d.err != nil {
		return nil, d.meta.key(), d.err
	}
	return o, o.ObjectKey(), nil
}

// key returns the key of the object whose metadata was read.
func (d *protoDecoder) key() Key {
	return Key{Namespace: d.strings.internBytes(d.meta.namespace), Name: string(d.meta.name)}
}

// service reads a core/v1 Service.
func (d *protoDecoder) service(m message) *Service {
	s := &Service{}
	for m.next() {
		switch m.num {
		case 1:
			d.meta.read(m.inner())
		case 2:
			d.serviceSpec(m.inner(), s)
		}
	}
	s.Key = d.key()
	s.UID = string(d.meta.uid)
	s.ResourceVersion = string(d.meta.version)
	s.Created = d.meta.created
	for _, a := range d.meta.annotations {
		if string(a.key) == lastApplied {
			continue
		}
		if s.Annotations == nil {
			s.Annotations = make(map[string]string, len(d.meta.annotations))
		}
		s.Annotations[d.strings.internBytes(a.key)] = string(a.value)
	}
	return s
}

func (d *protoDecoder) serviceSpec(m message, s *Service) {
	for m.next() {
		switch m.num {
		case 1:
			d.servicePort(m.inner(), s)
		case 3:
			s.ClusterIP = string(m.bytes)
		case 4:
			s.Type = d.strings.internBytes(m.bytes)
		case 7:
			s.Affinity = d.strings.internBytes(m.bytes)
		case 11:
			s.Local = string(m.bytes) == localPolicy
		case 14:
			s.AffinityTimeout = affinityTimeout(m.inner())
		case 19:
			if len(s.IPFamilies) == maxFamilies {
				continue
			}
			s.IPFamilies = append(s.IPFamilies, d.strings.internBytes(m.bytes))
		}
	}
}

func (d *protoDecoder) servicePort(m message, s *Service) {
	var p ServicePort
	var port, nodePort int32
	for m.next() {
		switch m.num {
		case 1:
			p.Name = d.strings.internBytes(m.bytes)
		case 2:
			p.Protocol = d.strings.internBytes(m.bytes)
		case 3:
			port = int32(m.varint)
		case 4:
			p.TargetPort = d.intOrString(m.inner())
		case 5:
			nodePort = int32(m.varint)
		case 6:
			p.AppProtocol = d.strings.internBytes(m.bytes)
		}
	}
	var ok bool
	if len(s.Ports) == mostElements {
		d.err = errTooMany
		return
	}
	if p.Port, ok = portNumber(port); ok {
		p.NodePort, _ = portNumber(nodePort)
		s.Ports = append(s.Ports, p)
	}
}

// intOrString reads an IntOrString, in the form of the type of the same name.
func (d *protoDecoder) intOrString(m message) string {
	var isText bool
	var number int32
	var text string
	for m.next() {
		switch m.num {
		case 1:
			isText = m.varint == 1
		case 2:
			number = int32(m.varint)
		case 3:
			text = d.strings.internBytes(m.bytes)
		}
	}
	if isText {
		return text
	}
	return d.strings.intern(targetPort(number))
}

// maxFamilies is how many address families a Service can have.
const maxFamilies = 2

// affinityTimeout reads a SessionAffinityConfig.
func affinityTimeout(m message) (timeout time.Duration) {
	for m.next() {
		if m.num != 1 {
			continue
		}
		for client := m.inner(); client.next(); {
			if client.num == 1 {
				timeout = time.Duration(int32(client.varint)) * time.Second
			}
		}
	}
	return timeout
}
