// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Of the protobuf that Kubernetes speaks (generated.proto beside each API
// package of k8s.io/api) only those fields are picked that make our types; the
// rest is stepped over. The numbers of fields never change.

// protoMagic stands before every protobuf object of Kubernetes; what follows is
// a runtime.Unknown (Kubernetes API concepts, "Protobuf encoding").
const protoMagic = "k8s\x00"

// message walks the fields of a protobuf message.
type message struct {
	rest   []byte
	num    protowire.Number // of the present field
	bytes  []byte           // its value when that is text, bytes or a message
	varint uint64           // its value when that is a number or a bool
	err    error            // why it ended early; nil at the end of the message
}

// next steps to the next field and reports whether there is one.
func (m *message) next() bool {
	if len(m.rest) == 0 || m.err != nil {
		return false
	}
	m.bytes, m.varint = nil, 0
	// Nearly every tag is one byte, and so is what follows: a length or a number.
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

// nextOfAny is next where there is a field, whatever its kind.
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
	m.err = fmt.Errorf("broken protobuf: %v", protowire.ParseError(n))
	return false
}

// unwrapProto returns the object within a runtime.Unknown with its magic.
func unwrapProto(b []byte) ([]byte, error) {
	b, ok := bytes.CutPrefix(b, []byte(protoMagic))
	if !ok {
		return nil, errNotProto
	}
	var raw []byte
	m := message{rest: b}
	for m.next() {
		if m.num == unknownRaw {
			raw = m.bytes
		}
	}
	return raw, m.err
}

var errNotProto = errors.New("not Kubernetes protobuf (does a proxy in between rewrite answers?)")

// Fields of runtime.Unknown.
const unknownRaw = 2

// protoMeta is what is read of a metav1.ObjectMeta. It stands in the buffer that
// it was read from.
type protoMeta struct {
	name, namespace, uid, version []byte

	created     time.Time
	service     []byte // label kubernetes.io/service-name
	excluded    bool   // label excludeLabel stands there
	annotations []protoEntry
}

// protoEntry is one entry of a map.
type protoEntry struct{ key, value []byte }

func (w *protoMeta) key() Key { return Key{string(w.namespace), string(w.name)} }

// read fills w, which is zero but for the capacity of its annotations.
func (w *protoMeta) read(b []byte) error {
	m := message{rest: b}
	for m.next() {
		var err error
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
			w.created, err = protoTime(m.bytes)
		case 11:
			var label protoEntry
			label, err = readEntry(m.bytes)
			switch string(label.key) {
			case serviceNameLabel:
				w.service = label.value
			case excludeLabel:
				w.excluded = true
			}
		case 12:
			var annotation protoEntry
			annotation, err = readEntry(m.bytes)
			w.annotations = append(w.annotations, annotation)
		}
		if err != nil {
			return err
		}
	}
	return m.err
}

// protoTime reads a metav1.Time, whole seconds; empty is the zero time.
func protoTime(b []byte) (time.Time, error) {
	if len(b) == 0 {
		return time.Time{}, nil
	}
	var seconds int64
	m := message{rest: b}
	for m.next() {
		if m.num == 1 {
			seconds = int64(m.varint)
		}
	}
	return time.Unix(seconds, 0).UTC(), m.err
}

func readEntry(b []byte) (protoEntry, error) {
	var e protoEntry
	m := message{rest: b}
	for m.next() {
		switch m.num {
		case 1:
			e.key = m.bytes
		case 2:
			e.value = m.bytes
		}
	}
	return e, m.err
}
