// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"iter"
	"maps"
	"slices"
)

// SliceIndex finds the EndpointSlices of a Service. It is never changed: With returns
// a new one, which shares the shards that did not change. The zero value is empty.
type SliceIndex struct {
	shards *[shardCount]*shard // by the hash of the Service; nil when empty
	count  int
}

// A shard holds the EndpointSlices of some Services, 20 of 5,000: about as many bytes
// as the array of all shards. An event copies one of each.
type shard map[Key][]*EndpointSlice

const shardCount = 256

// With returns an index in which these are the EndpointSlices of these Services. An
// empty group removes its Service.
func (x SliceIndex) With(groups map[Key][]*EndpointSlice) SliceIndex {
	if len(groups) == 0 {
		return x
	}
	next := SliceIndex{new([shardCount]*shard), x.count}
	if x.shards != nil {
		*next.shards = *x.shards
	}
	for service, group := range groups {
		at := shardIndex(service)
		s := next.shards[at]
		if s == nil {
			s = new(make(shard))
		} else if x.shards != nil && s == x.shards[at] {
			s = new(maps.Clone(*s))
		}
		next.count -= len(*s)
		if len(group) > 0 {
			(*s)[service] = group
		} else {
			delete(*s, service)
		}
		next.count += len(*s)
		next.shards[at] = s
	}
	return next
}

// Of returns the EndpointSlices of a Service, sorted by Key, possibly nil.
func (x SliceIndex) Of(service Key) []*EndpointSlice { return x.shard(shardIndex(service))[service] }

// Len returns how many Services have EndpointSlices.
func (x SliceIndex) Len() int { return x.count }

// All yields every Service that has EndpointSlices with them, in any order.
func (x SliceIndex) All() iter.Seq2[Key, []*EndpointSlice] {
	return func(yield func(Key, []*EndpointSlice) bool) {
		for at := range shardCount {
			for service, group := range x.shard(at) {
				if !yield(service, group) {
					return
				}
			}
		}
	}
}

// Changed yields every Service whose EndpointSlices differ from those in since, in
// any order. If one index was made from the other, the cost depends on what changed
// between them.
func (x SliceIndex) Changed(since SliceIndex) iter.Seq[Key] {
	return func(yield func(Key) bool) {
		for at := range shardCount {
			if x.shards != nil && since.shards != nil && x.shards[at] == since.shards[at] {
				continue
			}
			now, before := x.shard(at), since.shard(at)
			for service, group := range now {
				if !slices.Equal(group, before[service]) && !yield(service) {
					return
				}
			}
			for service := range before {
				if now[service] == nil && !yield(service) {
					return
				}
			}
		}
	}
}

// shard returns a shard, nil if it is empty.
func (x SliceIndex) shard(at int) shard {
	if x.shards == nil || x.shards[at] == nil {
		return nil
	}
	return *x.shards[at]
}

// shardIndex hashes a Service (FNV-1a).
func shardIndex(service Key) int {
	h := uint32(2166136261)
	for _, text := range [...]string{service.Namespace, service.Name} {
		for i := range len(text) {
			h = (h ^ uint32(text[i])) * 16777619
		}
		h = (h ^ '/') * 16777619
	}
	return int((h ^ h>>16) % shardCount)
}
