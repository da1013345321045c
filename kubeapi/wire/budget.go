// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"io"
	"sync/atomic"
	"unsafe"
)

// ErrTooLarge is returned for an answer that would exceed a Budget, or with an object
// that no API server stores: etcd accepts 1.5 MiB for one object.
var ErrTooLarge = errors.New("the answer is too large")

// tooLongError rejects a length that no object has, before anything of it is read: it is
// rather no protobuf at all than an object that is too large.
type tooLongError struct{}

func (tooLongError) Error() string { return "broken protobuf: a field is too long" }

// largestObject is how much of an answer may pass until the next object is complete. An
// object in JSON is several times as large as it is stored.
const largestObject = 16 << 20

// mostElements is how many ports, endpoints or annotations one object may have. An
// EndpointSlice has 1,000 endpoints at most.
const mostElements = 20_000

// errTooMany rejects an object with more elements.
var errTooMany = errors.New("it has too many elements")

// Budget bounds the memory of everything that is read from one API server. It may be used
// concurrently.
type Budget struct {
	limit int64
	fair  int64 // what each Share may have in any case
	used  atomic.Int64
}

// NewBudget returns a Budget of limit bytes. Each of so many Shares may have an equal part
// of them, whatever the others have.
func NewBudget(limit int64, shares int) *Budget {
	return &Budget{limit: limit, fair: limit / int64(max(1, shares))}
}

// Share is the part of a Budget that one list, or one answer, has. It may not be used
// concurrently. Nil is a Share without a limit.
type Share struct {
	budget *Budget
	size   int64
}

// Share returns a Share of nothing.
func (b *Budget) Share() *Share { return &Share{budget: b} }

// Grow adds n bytes, which may be negative. It returns ErrTooLarge, and adds nothing, if
// the Budget does not have them.
func (s *Share) Grow(n int64) error {
	if s == nil {
		return nil
	}
	if used := s.budget.used.Add(n); n > 0 && used > s.budget.limit && s.size+n > s.budget.fair {
		s.budget.used.Add(-n)
		return ErrTooLarge
	}
	s.size += n
	return nil
}

// Release gives everything back.
func (s *Share) Release() {
	if s != nil {
		s.budget.used.Add(-s.size)
		s.size = 0
	}
}

// Meter is a body that is read in a Share: what was received since the last object, up to
// largestObject.
type Meter struct {
	body  io.Reader
	share *Share
	since int64
	err   error // ErrTooLarge once a limit is exceeded
}

// NewMeter returns body, of which share bounds what is in memory.
func NewMeter(body io.Reader, share *Share) *Meter { return &Meter{body: body, share: share} }

// Read implements io.Reader. It returns ErrTooLarge, and nothing more of the body, once a
// limit is exceeded: encoding/json forgets an error that comes with data.
func (m *Meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.body.Read(p)
	m.since += int64(n)
	if m.since > largestObject {
		m.err = ErrTooLarge
	} else if m.err = m.share.Grow(int64(n)); m.err != nil {
		m.since -= int64(n)
	}
	if m.err != nil {
		return 0, m.err
	}
	return n, err
}

// mark notes that what was received was processed, in the decoders of a body that is a
// Meter.
func mark(body io.Reader) {
	if m, ok := body.(*Meter); ok {
		_ = m.share.Grow(-m.since) // never too large
		m.since = 0
	}
}

// Close gives back what was received since the last object.
func (m *Meter) Close() { mark(m) }

// Size returns how much memory an object has, about.
func Size(o Object) int64 {
	const header = 128 // in maps and lists, and of the allocator
	size := header
	text := func(all ...string) {
		for _, s := range all {
			size += len(s)
		}
	}
	switch o := o.(type) {
	case *Service:
		size += int(unsafe.Sizeof(*o)) + 32*len(o.IPFamilies)
		text(o.Namespace, o.Name, o.UID, o.ResourceVersion, o.Type, o.ClusterIP, o.Affinity)
		for k, v := range o.Annotations {
			size += 64
			text(k, v)
		}
		for _, p := range o.Ports {
			size += int(unsafe.Sizeof(p))
			text(p.Name, p.Protocol, p.AppProtocol, p.TargetPort)
		}
	case *EndpointSlice:
		size += int(unsafe.Sizeof(*o))
		text(o.Namespace, o.Name, o.ResourceVersion, o.Service, o.AddressType)
		for _, p := range o.Ports {
			size += int(unsafe.Sizeof(p))
			text(p.Name, p.Protocol)
		}
		for i := range o.Endpoints {
			size += int(unsafe.Sizeof(o.Endpoints[i])) + len(o.Endpoints[i].Node) + len(o.Endpoints[i].Pod)
		}
	case *Node:
		size += int(unsafe.Sizeof(*o)) + len(o.Addrs)*24 + len(o.PodCIDRs)*32
		text(o.Name, o.ResourceVersion)
	}
	return int64(size)
}
