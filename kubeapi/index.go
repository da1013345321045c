// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"iter"
	"maps"
)

// SliceIndex finds the EndpointSlices of a Service. It is never changed: a
// change makes another one, which shares all but a 256th part with it. The zero
// value is empty.
type SliceIndex struct {
	parts *[indexParts]map[Key][]*EndpointSlice // nil when empty
	count int
}

const indexParts = 256

// IndexSlices returns an index of these groups of EndpointSlices, by Service.
func IndexSlices(groups map[Key][]*EndpointSlice) SliceIndex {
	var x SliceIndex
	for service, group := range groups {
		x = x.with(service, group)
	}
	return x
}

// Of returns the EndpointSlices of a Service, sorted by Key; nil when there are
// none.
func (x SliceIndex) Of(service Key) []*EndpointSlice {
	if x.parts == nil {
		return nil
	}
	return x.parts[service.part()][service]
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
			for service, group := range part {
				if !yield(service, group) {
					return
				}
			}
		}
	}
}

// with returns the index with group as the EndpointSlices of service, or without
// service when that is empty.
func (x SliceIndex) with(service Key, group []*EndpointSlice) SliceIndex {
	var parts [indexParts]map[Key][]*EndpointSlice
	if x.parts != nil {
		parts = *x.parts
	}
	i := service.part()
	part := maps.Clone(parts[i])
	if part == nil {
		part = make(map[Key][]*EndpointSlice)
	}
	before := len(part)
	if len(group) == 0 {
		delete(part, service)
	} else {
		part[service] = group
	}
	parts[i] = part
	return SliceIndex{parts: &parts, count: x.count + len(part) - before}
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
