// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bufio"
	"encoding/binary"
	"io"
)

// protoEvents reads a watch in protobuf: frames of a length in four bytes, big
// end first, and a metav1.WatchEvent (k8s.io/apimachinery/pkg/util/framer).
type protoEvents struct {
	p       *protoReader
	decoder protoDecoder
}

func newProtoEvents(body io.Reader, r Resource, strings Interner) *protoEvents {
	return &protoEvents{
		// Every read from HTTP/2 tells the server how much more it may send.
		p:       &protoReader{r: bufio.NewReaderSize(body, 32<<10)},
		decoder: protoDecoder{resource: r, strings: strings},
	}
}

func (d *protoEvents) Next() (Event, error) {
	frame, err := d.frame()
	if err != nil {
		return Event{}, err
	}
	e, key, err := d.event(frame)
	if err != nil {
		return Event{}, &UnreadableError{key, err}
	}
	return e, e.check()
}

// frame returns the next frame, or io.EOF where there is none.
func (d *protoEvents) frame() ([]byte, error) {
	if _, err := d.p.r.Peek(1); err != nil {
		return nil, err
	}
	size, err := d.p.bytes(4)
	if err != nil {
		return nil, err
	}
	return d.p.bytes(uint64(binary.BigEndian.Uint32(size)))
}

// event reads a metav1.WatchEvent.
func (d *protoEvents) event(frame []byte) (e Event, key Key, err error) {
	var extension []byte
	m := message{rest: frame}
	for m.next() {
		switch m.num {
		case 1:
			e.Kind = d.decoder.strings.ofBytes(m.bytes)
		case 2:
			extension = m.bytes
		}
	}
	if m.err != nil {
		return e, Key{}, m.err
	}
	raw, err := unwrapExtension(extension)
	if err != nil {
		return e, Key{}, err
	}
	switch e.Kind {
	case "ADDED", "MODIFIED", "DELETED":
		e.Object, key, err = d.decoder.object(raw)
	case "BOOKMARK":
		e.Bookmark, err = d.decoder.bookmark(raw)
	case "ERROR":
		e.Status, err = protoStatus(raw)
	}
	return e, key, err
}

// unwrapExtension returns the object within a runtime.RawExtension.
func unwrapExtension(b []byte) ([]byte, error) {
	var raw []byte
	m := message{rest: b}
	for m.next() {
		if m.num == 1 {
			raw = m.bytes
		}
	}
	if m.err != nil {
		return nil, m.err
	}
	return unwrapProto(raw)
}

// Bookmark reads the metadata of an object that has nothing else.
func (d *protoDecoder) bookmark(b []byte) (Bookmark, error) {
	d.meta = protoMeta{annotations: d.meta.annotations[:0]}
	m := message{rest: b}
	for m.next() {
		if m.num != 1 {
			continue
		}
		if err := d.meta.read(m.bytes); err != nil {
			return Bookmark{}, err
		}
	}
	mark := Bookmark{Version: string(d.meta.version)}
	for _, a := range d.meta.annotations {
		if string(a.key) == initialEventsEnd {
			mark.Listed = string(a.value) == "true"
		}
	}
	return mark, m.err
}

// protoStatus reads a metav1.Status.
func protoStatus(b []byte) (*Status, error) {
	e := &Status{}
	m := message{rest: b}
	for m.next() {
		switch m.num {
		case 3:
			e.Message = string(m.bytes)
		case 6:
			e.Code = int(int32(m.varint))
		}
	}
	return e, m.err
}
