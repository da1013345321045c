// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// protoPage decodes pages of a list, one item at a time: the list is never in memory as
// a whole.
type protoPage struct {
	body    io.Reader
	decoder protoDecoder
	into    *List
}

func newProtoPage(r Resource, into *List) *protoPage {
	return &protoPage{decoder: protoDecoder{resource: r, strings: into.Strings}, into: into}
}

// decode reads one page and returns the token of the next.
func (d *protoPage) decode(body io.Reader) (string, error) {
	d.body = body
	p := &protoReader{r: bufio.NewReaderSize(body, 64<<10)}
	next, err := d.page(p)
	if err != nil {
		return "", readError(err)
	}
	if d.into.Version == "" {
		return "", errNoList
	}
	return next, nil
}

// page reads a runtime.Unknown that holds a list.
func (d *protoPage) page(p *protoReader) (next string, err error) {
	magic, err := p.bytes(uint64(len(protoMagic)))
	if err != nil {
		return "", err
	}
	if string(magic) != protoMagic {
		return "", errNotProto
	}
	for {
		num, size, err := p.field()
		switch {
		case err == io.EOF:
			return next, nil
		case err != nil:
			return "", err
		case num == unknownRaw:
			next, err = d.list(p, p.pos+size)
		default:
			_, err = p.bytes(size)
		}
		if err != nil {
			return "", err
		}
	}
}

// list reads a ServiceList or EndpointSliceList that ends at position end.
func (d *protoPage) list(p *protoReader, end uint64) (next string, err error) {
	for p.pos < end {
		num, size, err := p.field()
		if err != nil {
			return "", unexpected(err)
		}
		value, err := p.bytes(size)
		if err != nil {
			return "", err
		}
		switch num {
		case 1:
			next, err = d.listMeta(value)
		case 2:
			err = d.item(value)
			mark(d.body)
		}
		if err != nil {
			return "", err
		}
	}
	return next, nil
}

// listMeta reads a metav1.ListMeta.
func (d *protoPage) listMeta(b []byte) (next string, err error) {
	for m := (message{rest: b, err: &err}); m.next(); {
		switch m.num {
		case 2:
			d.into.Version = string(m.bytes)
		case 3:
			next = string(m.bytes)
		}
	}
	return next, err
}

func (d *protoPage) item(b []byte) error {
	o, key, err := d.decoder.object(b)
	switch {
	case err == nil && key.Name == "":
		return errNameless
	case err == nil:
		return d.into.add(o)
	case key.Name != "":
		return d.into.skip(key, err)
	}
	return err
}

// protoReader reads protobuf from a stream.
type protoReader struct {
	r   *bufio.Reader
	pos uint64 // bytes read so far
	buf bytes.Buffer
}

// field reads the head of the next field and the length of its value. It returns io.EOF
// at the end.
func (p *protoReader) field() (num protowire.Number, size uint64, err error) {
	tag, err := p.varint()
	if err != nil {
		return 0, 0, err
	}
	num, typ := protowire.DecodeTag(tag)
	switch typ {
	case protowire.BytesType:
		size, err = p.varint()
	case protowire.VarintType:
		_, err = p.varint()
	case protowire.Fixed32Type:
		size = 4
	case protowire.Fixed64Type:
		size = 8
	default:
		err = fmt.Errorf("broken protobuf: field %d is of type %d", num, typ)
	}
	return num, size, unexpected(err)
}

// ReadByte makes a protoReader an io.ByteReader that counts.
func (p *protoReader) ReadByte() (byte, error) {
	b, err := p.r.ReadByte()
	if err == nil {
		p.pos++
	}
	return b, err
}

// varint returns io.EOF if nothing is left.
func (p *protoReader) varint() (uint64, error) { return binary.ReadUvarint(p) }

// bytes returns the next n bytes, valid until the next call. It does not allocate n
// bytes before they have been received.
func (p *protoReader) bytes(n uint64) ([]byte, error) {
	if n > largestObject {
		return nil, tooLongError{}
	}
	p.pos += n
	if int(n) <= p.r.Size() {
		b, err := p.r.Peek(int(n))
		if err != nil {
			return nil, unexpected(err)
		}
		_, err = p.r.Discard(int(n))
		return b, err
	}
	p.buf.Reset()
	_, err := io.CopyN(&p.buf, p.r, int64(n))
	return p.buf.Bytes(), unexpected(err)
}

// unexpected returns err, or io.ErrUnexpectedEOF for io.EOF.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
