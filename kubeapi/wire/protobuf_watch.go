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
	body    io.Reader
	p       *protoReader
	decoder protoDecoder
}

func newProtoEvents(body io.Reader, r Resource, strings Interner) *protoEvents {
	return &protoEvents{
		body: body,
		// Every read from HTTP/2 sends the server a window update.
		p:       &protoReader{r: bufio.NewReaderSize(body, 32<<10)},
		decoder: protoDecoder{resource: r, strings: strings},
	}
}

func (d *protoEvents) Next() (Event, error) {
	mark(d.body)
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

// frame returns the next frame, or io.EOF at the end.
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
	var extension message
	for m := (message{rest: frame, err: &err}); m.next(); {
		switch m.num {
		case 1:
			e.Kind = d.decoder.strings.internBytes(m.bytes)
		case 2:
			extension = m.inner()
		}
	}
	var wrapped []byte // in a runtime.RawExtension
	for extension.next() {
		if extension.num == 1 {
			wrapped = extension.bytes
		}
	}
	if err != nil {
		return e, Key{}, err
	}
	raw, err := unwrapProto(wrapped)
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

// bookmark reads the metadata of an object that has nothing else.
func (d *protoDecoder) bookmark(b []byte) (mark Bookmark, err error) {
	d.meta = protoMeta{annotations: d.meta.annotations[:0]}
	for m := (message{rest: b, err: &err}); m.next(); {
		if m.num == 1 {
			d.meta.read(m.inner())
		}
	}
	mark.Version = string(d.meta.version)
	for _, a := range d.meta.annotations {
		if string(a.key) == initialEventsEnd {
			mark.Listed = string(a.value) == "true"
		}
	}
	return mark, err
}
