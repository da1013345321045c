// SPDX-License-Identifier: Apache-2.0

package wire

import "time"

// protoDecoder reads objects out of buffers that are used again: what it returns
// shares nothing with them. It may not be used concurrently.
type protoDecoder struct {
	resource Resource
	strings  Interner

	meta protoMeta
	pods podNames
}

// object reads one object. On an error the key is what could be read of it,
// possibly none.
func (d *protoDecoder) object(b []byte) (Object, Key, error) {
	d.meta = protoMeta{annotations: d.meta.annotations[:0]}
	if d.resource == Services {
		s, err := d.service(b)
		if err != nil {
			return nil, d.meta.key(), err
		}
		return s, s.Key, nil
	}
	if d.resource == Nodes {
		n, err := d.node(b)
		if err != nil {
			return nil, d.meta.key(), err
		}
		return n, n.ObjectKey(), nil
	}
	s, err := d.slice(b)
	if err != nil {
		return nil, d.meta.key(), err
	}
	return s, s.Key, nil
}

// key returns the key of the object whose metadata was read.
func (d *protoDecoder) key() Key {
	return Key{Namespace: d.strings.ofBytes(d.meta.namespace), Name: string(d.meta.name)}
}

// service reads a core/v1 Service.
func (d *protoDecoder) service(b []byte) (*Service, error) {
	s := &Service{}
	m := message{rest: b}
	for m.next() {
		var err error
		switch m.num {
		case 1:
			err = d.meta.read(m.bytes)
		case 2:
			err = d.serviceSpec(m.bytes, s)
		}
		if err != nil {
			return nil, err
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
		s.Annotations[d.strings.ofBytes(a.key)] = string(a.value)
	}
	return s, m.err
}

func (d *protoDecoder) serviceSpec(b []byte, s *Service) error {
	m := message{rest: b}
	for m.next() {
		var err error
		switch m.num {
		case 1:
			err = d.servicePort(m.bytes, s)
		case 3:
			s.ClusterIP = string(m.bytes)
		case 4:
			s.Type = d.strings.ofBytes(m.bytes)
		case 7:
			s.Affinity = d.strings.ofBytes(m.bytes)
		case 11:
			s.Local = string(m.bytes) == localPolicy
		case 14:
			s.AffinityTimeout, err = affinityTimeout(m.bytes)
		}
		if err != nil {
			return err
		}
	}
	return m.err
}

func (d *protoDecoder) servicePort(b []byte, s *Service) error {
	var p ServicePort
	var port, nodePort int32
	m := message{rest: b}
	for m.next() {
		switch m.num {
		case 1:
			p.Name = d.strings.ofBytes(m.bytes)
		case 2:
			p.Protocol = d.strings.ofBytes(m.bytes)
		case 3:
			port = int32(m.varint)
		case 5:
			nodePort = int32(m.varint)
		case 6:
			p.AppProtocol = d.strings.ofBytes(m.bytes)
		}
	}
	var ok bool
	if p.Port, ok = portNumber(port); ok {
		p.NodePort, _ = portNumber(nodePort)
		s.Ports = append(s.Ports, p)
	}
	return m.err
}

// affinityTimeout reads a SessionAffinityConfig.
func affinityTimeout(b []byte) (time.Duration, error) {
	var seconds int32
	m := message{rest: b}
	for m.next() {
		if m.num != 1 {
			continue
		}
		client := message{rest: m.bytes}
		for client.next() {
			if client.num == 1 {
				seconds = int32(client.varint)
			}
		}
		if client.err != nil {
			return 0, client.err
		}
	}
	return time.Duration(seconds) * time.Second, m.err
}
