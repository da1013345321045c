// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The decoders read only the fields of this package's types from the protobuf of
// Kubernetes (generated.proto of each API package of k8s.io/api), and skip all others.
// The numbers of fields never change.

// protoMagic begins every protobuf object of Kubernetes; a runtime.Unknown follows
// (Kubernetes API concepts, "Protobuf encoding").
const protoMagic = "k8s\x00"

// unknownRaw is the field of a runtime.Unknown that holds the object.
const unknownRaw = 2

// message iterates over the fields of a protobuf message.
type message struct {
	rest   []byte
	num    protowire.Number // of the present field
	bytes  []byte           // its value if that is text, bytes or a message
	varint uint64           // its value if that is a number or a bool
	err    *error           // is set to the first error, which ends the message
}

// next steps to the next field and reports whether there is one.
func (m *message) next() bool {
	if len(m.rest) == 0 {
		return false
	}
	m.bytes, m.varint = nil, 0
	// Nearly every tag is one byte, and so is the length or the number after it.
	if len(m.rest) >= 2 && m.rest[0] < 0x80 && m.rest[0] >= 1<<3 && m.rest[1] < 0x80 {
		num, typ := protowire.Number(m.rest[0]>>3), protowire.Type(m.rest[0]&7)
		switch end := 2 + int(m.rest[1]); {
		case typ == protowire.VarintType:
			m.num, m.varint, m.rest = num, uint64(m.rest[1]), m.rest[2:]
			return true
		case typ == protowire.BytesType && end <= len(m.rest):
			m.num, m.bytes, m.rest = num, m.rest[2:end:end], m.rest[end:]
			return true
		}
	}
	return m.nextOfAny()
}

// nextOfAny steps to the next field, of any type.
func (m *message) nextOfAny() bool {
	num, typ, n := protowire.ConsumeTag(m.rest)
	if n < 0 {
		return m.fail(n)
	}
	m.rest = m.rest[n:]
	m.num = num
	switch typ {
	case protowire.BytesType:
		m.bytes, n = protowire.ConsumeBytes(m.rest)
	case protowire.VarintType:
		m.varint, n = protowire.ConsumeVarint(m.rest)
	default:
		n = protowire.ConsumeFieldValue(num, typ, m.rest)
	}
	if n < 0 {
		return m.fail(n)
	}
	m.rest = m.rest[n:]
	return true
}

func (m *message) fail(n int) bool {
	m.rest = nil
	if *m.err == nil {
		*m.err = fmt.Errorf("broken protobuf: %v", protowire.ParseError(n))
	}
	return false
}

// inner returns the message that the present field holds.
func (m *message) inner() message { return message{rest: m.bytes, err: m.err} }

// unwrapProto returns the object within a runtime.Unknown with its magic.
func unwrapProto(b []byte) (raw []byte, err error) {
	b, ok := bytes.CutPrefix(b, []byte(protoMagic))
	if !ok {
		return nil, errNotProto
	}
	for m := (message{rest: b, err: &err}); m.next(); {
		if m.num == unknownRaw {
			raw = m.bytes
		}
	}
	return raw, err
}

var errNotProto = errors.New("not Kubernetes protobuf (does a proxy in between rewrite answers?)")

// protoStatus reads a metav1.Status.
func protoStatus(b []byte) (*Status, error) {
	var err error
	s := &Status{}
	for m := (message{rest: b, err: &err}); m.next(); {
		switch m.num {
		case 3:
			s.Message = string(m.bytes)
		case 6:
			s.Code = int(int32(m.varint))
		}
	}
	return s, err
}

// protoMeta has the fields that are read of a metav1.ObjectMeta. It refers to the buffer that it
// was read from.
type protoMeta struct {
	name, namespace, uid, version []byte

	created     time.Time
	service     []byte // label kubernetes.io/service-name
	excluded    bool   // has the label ExcludeLabel
	annotations []protoEntry
}

// protoEntry is one entry of a map.
type protoEntry struct{ key, value []byte }

func (w *protoMeta) key() Key { return Key{string(w.namespace), string(w.name)} }

// read fills w, which is zero except for the capacity of its annotations.
func (w *protoMeta) read(m message) {
	for m.next() {
		switch m.num {
		case 1:
			w.name = m.bytes
		case 3:
			w.namespace = m.bytes
		case 5:
			w.uid = m.bytes
		case 6:
			w.version = m.bytes
		case 8:
			w.created = protoTime(m.inner())
		case 11:
			switch label := readEntry(m.inner()); string(label.key) {
			case serviceNameLabel:
				w.service = label.value
			case ExcludeLabel:
				w.excluded = true
			}
		case 12:
			if len(w.annotations) == mostElements {
				continue
			}
			w.annotations = append(w.annotations, readEntry(m.inner()))
		}
	}
}

// protoTime reads a metav1.Time, whole seconds; empty is the zero time.
func protoTime(m message) time.Time {
	if len(m.rest) == 0 {
		return time.Time{}
	}
	var seconds int64
	for m.next() {
		if m.num == 1 {
			seconds = int64(m.varint)
		}
	}
	return time.Unix(seconds, 0).UTC()
}

func readEntry(m message) (e protoEntry) {
	for m.next() {
		switch m.num {
		case 1:
			e.key = m.bytes
		case 2:
			e.value = m.bytes
		}
	}
	return e
}
