// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"maps"
	"slices"

	"podgate/kubeapi/wire"
)

// store holds the newest state of every object, and makes Snapshots of it.
type store struct {
	services sorted[*Service]
	nodes    sorted[*Node]            // its list is nil before the first list
	index    SliceIndex               // of the last Snapshot
	changed  map[Key][]*EndpointSlice // by Service, since then; each group sorted by Key
	slices   map[Key]*EndpointSlice   // by Key, also those without a Service
}

func newStore() *store {
	return &store{changed: make(map[Key][]*EndpointSlice), slices: make(map[Key]*EndpointSlice)}
}

// snapshot returns the present state.
func (s *store) snapshot(complete int) *Snapshot {
	if len(s.changed) > 0 {
		s.index = s.index.With(s.changed)
		s.changed = make(map[Key][]*EndpointSlice)
	}
	return &Snapshot{Services: s.services.share(), Nodes: s.nodes.share(), Slices: s.index, Complete: complete}
}

// replace makes l the state of src and reports whether that changed anything. An
// object that could not be decoded stays as it was.
func (s *store) replace(src source, l *wire.List) bool {
	present := make(map[Key]bool, len(l.Objects)+len(l.Unread))
	for key := range l.Unread {
		present[key] = true
	}
	changed := false
	if src.resource == wire.Nodes && s.nodes.list == nil {
		s.nodes.list, changed = []*Node{}, true
	}
	for _, o := range l.Objects {
		present[o.ObjectKey()] = true
		if s.put(o) {
			changed = true
		}
	}
	for _, key := range s.keys(src) {
		if !present[key] && s.remove(src.resource, key) {
			changed = true
		}
	}
	return changed
}

// keys returns the keys of every object of src.
func (s *store) keys(src source) []Key {
	var keys []Key
	add := func(key Key) {
		if src.namespace == "" || key.Namespace == src.namespace {
			keys = append(keys, key)
		}
	}
	switch src.resource {
	case wire.Nodes:
		for _, n := range s.nodes.list {
			keys = append(keys, n.ObjectKey())
		}
		return keys
	case wire.Services:
		for _, svc := range s.services.list {
			add(svc.Key)
		}
		return keys
	}
	for key := range s.slices {
		add(key)
	}
	return keys
}

// object returns the object of r named key; nil if the store has no such object.
func (s *store) object(r wire.Resource, key Key) wire.Object {
	switch r {
	case wire.Services:
		if i, found := search(s.services.list, key); found {
			return s.services.list[i]
		}
	case wire.Nodes:
		if i, found := search(s.nodes.list, key); found {
			return s.nodes.list[i]
		}
	default:
		if slice, found := s.slices[key]; found {
			return slice
		}
	}
	return nil
}

// put adds or replaces o and reports whether that changed anything. If the store has
// an equal object, its pointer stays.
func (s *store) put(o wire.Object) bool {
	switch o := o.(type) {
	case *Service:
		return s.services.put(o, equalServices)
	case *EndpointSlice:
		return s.putSlice(o)
	case *Node:
		return s.nodes.put(o, equalNodes)
	}
	return false
}

// remove deletes the object of r named key, and reports whether it existed.
func (s *store) remove(r wire.Resource, key Key) bool {
	switch r {
	case wire.Services:
		return s.services.remove(key)
	case wire.Nodes:
		return s.nodes.remove(key)
	}
	return s.removeSlice(key)
}

func (s *store) putSlice(slice *EndpointSlice) bool {
	old, found := s.slices[slice.Key]
	if found && equalSlices(old, slice) {
		return false
	}
	if found && old.Service != slice.Service {
		s.removeSlice(slice.Key)
	}
	s.slices[slice.Key] = slice
	if slice.Service == "" {
		return true
	}
	group := s.group(serviceKey(slice))
	i, found := search(group, slice.Key)
	if found {
		group = slices.Clone(group)
		group[i] = slice
	} else {
		group = slices.Insert(slices.Clip(group), i, slice)
	}
	s.changed[serviceKey(slice)] = group
	return true
}

func (s *store) removeSlice(key Key) bool {
	old, found := s.slices[key]
	if !found {
		return false
	}
	delete(s.slices, key)
	if old.Service == "" {
		return true
	}
	group := s.group(serviceKey(old))
	i, _ := search(group, key)
	s.changed[serviceKey(old)] = slices.Delete(slices.Clone(group), i, i+1)
	return true
}

// group returns the EndpointSlices of a Service at present.
func (s *store) group(service Key) []*EndpointSlice {
	if group, ok := s.changed[service]; ok {
		return group
	}
	return s.index.Of(service)
}

// serviceKey returns the key of the Service that s belongs to.
func serviceKey(s *EndpointSlice) Key { return Key{Namespace: s.Namespace, Name: s.Service} }

// equalServices compares content and not the version alone: after etcd was
// restored from a backup, one version may name two contents.
func equalServices(s, t *Service) bool {
	return s.Key == t.Key && s.UID == t.UID && s.ResourceVersion == t.ResourceVersion &&
		s.Created.Equal(t.Created) && s.Type == t.Type && s.ClusterIP == t.ClusterIP &&
		s.Affinity == t.Affinity && s.Local == t.Local && s.AffinityTimeout == t.AffinityTimeout &&
		slices.Equal(s.IPFamilies, t.IPFamilies) && maps.Equal(s.Annotations, t.Annotations) && slices.Equal(s.Ports, t.Ports)
}

func equalSlices(s, t *EndpointSlice) bool {
	return s.Key == t.Key && s.ResourceVersion == t.ResourceVersion && s.Service == t.Service &&
		s.AddressType == t.AddressType && slices.Equal(s.Ports, t.Ports) && slices.Equal(s.Endpoints, t.Endpoints)
}

// equalNodes does not compare versions: a kubelet writes its Node every few minutes
// without a change of these fields.
func equalNodes(n, o *Node) bool {
	return n.Name == o.Name && n.Ready == o.Ready && n.Excluded == o.Excluded && slices.Equal(n.Addrs, o.Addrs) && slices.Equal(n.PodCIDRs, o.PodCIDRs)
}

// sorted is a list of objects by Key. Where a Snapshot refers to it, it is copied
// before it is changed, once for all changes up to the next Snapshot.
type sorted[T wire.Object] struct {
	list   []T
	shared bool // a Snapshot refers to list
}

// share returns the list for a Snapshot.
func (s *sorted[T]) share() []T {
	s.shared = true
	return s.list
}

func (s *sorted[T]) put(o T, equal func(T, T) bool) bool {
	i, found := search(s.list, o.ObjectKey())
	if found && equal(s.list[i], o) {
		return false
	}
	s.own()
	if found {
		s.list[i] = o
	} else {
		s.list = slices.Insert(s.list, i, o)
	}
	return true
}

func (s *sorted[T]) remove(key Key) bool {
	i, found := search(s.list, key)
	if found {
		s.own()
		s.list = slices.Delete(s.list, i, i+1)
	}
	return found
}

func (s *sorted[T]) own() {
	if s.shared {
		s.list, s.shared = slices.Clone(s.list), false
	}
}

func search[T wire.Object](list []T, key Key) (int, bool) {
	return slices.BinarySearchFunc(list, key, func(o T, key Key) int { return o.ObjectKey().Compare(key) })
}
