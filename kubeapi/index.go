// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"iter"
	"maps"
	"slices"
)

// SliceIndex finds the EndpointSlices of a Service. It is never changed: a
// change makes another one, which shares all but a 256th part with it. The zero
// value is empty.
type SliceIndex struct {
	parts *[indexParts]*indexPart // nil when empty
	count int
}

// indexPart is a part of an index: the Services of one hash. Equal pointers mean
// equal content.
type indexPart struct{ groups map[Key][]*EndpointSlice }

const indexParts = 256

// IndexSlices returns an index of these groups of EndpointSlices, by Service.
func IndexSlices(groups map[Key][]*EndpointSlice) SliceIndex {
	var b indexBuilder
	for service, group := range groups {
		b.set(service, group)
	}
	return b.done()
}

// With returns an index in which these are the EndpointSlices of service, none
// where group is empty. It shares with x what is the same.
func (x SliceIndex) With(service Key, group []*EndpointSlice) SliceIndex {
	b := indexBuilder{index: x}
	b.set(service, group)
	return b.done()
}

// Of returns the EndpointSlices of a Service, sorted by Key; nil when there are
// none.
func (x SliceIndex) Of(service Key) []*EndpointSlice {
	if x.parts == nil {
		return nil
	}
	return x.parts[service.part()].of(service)
}

// Len returns how many Services have EndpointSlices.
func (x SliceIndex) Len() int { return x.count }

// All yields every Service that has EndpointSlices with them, in any order.
func (x SliceIndex) All() iter.Seq2[Key, []*EndpointSlice] {
	return func(yield func(Key, []*EndpointSlice) bool) {
		if x.parts == nil {
			return
		}
		for _, part := range x.parts {
			for service, group := range part.all() {
				if !yield(service, group) {
					return
				}
			}
		}
	}
}

// Changed yields every Service whose EndpointSlices are not those that it has in
// since, in any order. It costs what changed between the two, where one was made
// from the other.
func (x SliceIndex) Changed(since SliceIndex) iter.Seq[Key] {
	return func(yield func(Key) bool) {
		if x.parts == since.parts {
			return
		}
		for i := range indexParts {
			now, before := x.part(i), since.part(i)
			if now == before {
				continue
			}
			for service, group := range now.all() {
				if !slices.Equal(group, before.of(service)) && !yield(service) {
					return
				}
			}
			for service := range before.all() {
				if now.of(service) == nil && !yield(service) {
					return
				}
			}
		}
	}
}

func (x SliceIndex) part(i int) *indexPart {
	if x.parts == nil {
		return nil
	}
	return x.parts[i]
}

func (p *indexPart) of(service Key) []*EndpointSlice {
	if p == nil {
		return nil
	}
	return p.groups[service]
}

func (p *indexPart) all() map[Key][]*EndpointSlice {
	if p == nil {
		return nil
	}
	return p.groups
}

// indexBuilder makes one index after the other. The zero value has none.
type indexBuilder struct {
	index SliceIndex
	own   [indexParts]bool // parts that are in no index that was handed out
	any   bool             // some are, and the array of them is our own as well
}

// done hands the present index out: it is not changed any more.
func (b *indexBuilder) done() SliceIndex {
	b.own, b.any = [indexParts]bool{}, false
	return b.index
}

// set makes group the EndpointSlices of service, or takes service away when that
// is empty.
func (b *indexBuilder) set(service Key, group []*EndpointSlice) {
	i := service.part()
	part := b.ownPart(i)
	before := len(part)
	if len(group) == 0 {
		delete(part, service)
	} else {
		part[service] = group
	}
	b.index.count += len(part) - before
}

// ownPart returns a part that may be changed.
func (b *indexBuilder) ownPart(i int) map[Key][]*EndpointSlice {
	if !b.any {
		parts := new([indexParts]*indexPart)
		if b.index.parts != nil {
			*parts = *b.index.parts
		}
		b.index.parts, b.any = parts, true
	}
	if !b.own[i] {
		b.own[i] = true
		groups := maps.Clone(b.index.parts[i].all())
		if groups == nil {
			groups = make(map[Key][]*EndpointSlice)
		}
		b.index.parts[i] = &indexPart{groups}
	}
	return b.index.parts[i].groups
}

// part returns which part of an index the key belongs to (FNV-1a).
func (k Key) part() int {
	h := uint32(2166136261)
	for _, text := range [...]string{k.Namespace, k.Name} {
		for i := range len(text) {
			h = (h ^ uint32(text[i])) * 16777619
		}
		h = (h ^ '/') * 16777619
	}
	return int((h ^ h>>16) % indexParts)
}
