// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"maps"
	"slices"

	"podgate/kubeapi/wire"
)

// store holds the newest state of every object and hands it out as Snapshots.
// What a Snapshot holds is copied before it is changed: the pointers to Services,
// once for all changes up to the next Snapshot, and of the index of slices the
// part that changed.
type store struct {
	services []*Service               // sorted by Key
	nodes    []*Node                  // sorted by Name; nil before they were listed; never changed in place
	index    SliceIndex               // of the last Snapshot
	changed  map[Key][]*EndpointSlice // by Service, since then; each group sorted by Key
	slices   map[Key]*EndpointSlice   // by Key; those of no Service as well

	servicesShared bool // services belong to a Snapshot too
}

func newStore() *store {
	return &store{changed: make(map[Key][]*EndpointSlice), slices: make(map[Key]*EndpointSlice)}
}

// snapshot returns the present state.
func (s *store) snapshot(complete int) *Snapshot {
	s.servicesShared = true
	if len(s.changed) > 0 {
		s.index = s.index.With(s.changed)
		s.changed = make(map[Key][]*EndpointSlice)
	}
	return &Snapshot{Services: s.services, Nodes: s.nodes, Slices: s.index, Complete: complete}
}

// replace makes l the whole state of src and reports whether that changed
// anything. An object that could not be read stays as it was.
func (s *store) replace(src source, l *wire.List) bool {
	present := make(map[Key]bool, len(l.Objects)+len(l.Unread))
	for key := range l.Unread {
		present[key] = true
	}
	changed := false
	if src.resource == wire.Nodes && s.nodes == nil {
		s.nodes, changed = []*Node{}, true
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
		for _, n := range s.nodes {
			keys = append(keys, n.ObjectKey())
		}
		return keys
	case wire.Services:
		for _, svc := range s.services {
			add(svc.Key)
		}
		return keys
	}
	for key := range s.slices {
		add(key)
	}
	return keys
}

// put adds or replaces o and reports whether that changed anything; an object
// equal to the one it meets leaves the old pointer in place.
func (s *store) put(o wire.Object) bool {
	switch o := o.(type) {
	case *Service:
		return s.putService(o)
	case *EndpointSlice:
		return s.putSlice(o)
	case *Node:
		return s.putNode(o)
	}
	return false
}

// remove deletes the object of r named key, and reports whether there was one.
func (s *store) remove(r wire.Resource, key Key) bool {
	switch r {
	case wire.Services:
		return s.removeService(key)
	case wire.Nodes:
		return s.removeNode(key.Name)
	}
	return s.removeSlice(key)
}

func (s *store) putService(svc *Service) bool {
	i, found := searchService(s.services, svc.Key)
	if found && equalServices(s.services[i], svc) {
		return false
	}
	s.ownServices()
	if found {
		s.services[i] = svc
	} else {
		s.services = slices.Insert(s.services, i, svc)
	}
	return true
}

func (s *store) removeService(key Key) bool {
	i, found := searchService(s.services, key)
	if found {
		s.ownServices()
		s.services = slices.Delete(s.services, i, i+1)
	}
	return found
}

func searchService(services []*Service, key Key) (int, bool) {
	return slices.BinarySearchFunc(services, key, func(svc *Service, key Key) int { return svc.Compare(key) })
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
	group := s.group(serviceOf(slice))
	i, found := searchSlice(group, slice.Key)
	if found {
		group = slices.Clone(group)
		group[i] = slice
	} else {
		group = slices.Insert(slices.Clip(group), i, slice)
	}
	s.changed[serviceOf(slice)] = group
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
	group := s.group(serviceOf(old))
	i, _ := searchSlice(group, key)
	s.changed[serviceOf(old)] = slices.Delete(slices.Clone(group), i, i+1)
	return true
}

// group returns the EndpointSlices of a Service at present.
func (s *store) group(service Key) []*EndpointSlice {
	if group, ok := s.changed[service]; ok {
		return group
	}
	return s.index.Of(service)
}

func searchSlice(group []*EndpointSlice, key Key) (int, bool) {
	return slices.BinarySearchFunc(group, key, func(slice *EndpointSlice, key Key) int { return slice.Compare(key) })
}

// serviceOf returns the key of the Service that s belongs to.
func serviceOf(s *EndpointSlice) Key { return Key{Namespace: s.Namespace, Name: s.Service} }

func (s *store) ownServices() {
	if s.servicesShared {
		s.services = slices.Clone(s.services)
		s.servicesShared = false
	}
}

// equalServices compares content and not the version alone: after etcd was
// restored from a backup, one version may name two contents.
func equalServices(s, t *Service) bool {
	return s.Key == t.Key && s.UID == t.UID && s.ResourceVersion == t.ResourceVersion &&
		s.Created.Equal(t.Created) && s.Type == t.Type && s.ClusterIP == t.ClusterIP &&
		s.Affinity == t.Affinity && s.Local == t.Local && s.AffinityTimeout == t.AffinityTimeout &&
		maps.Equal(s.Annotations, t.Annotations) && slices.Equal(s.Ports, t.Ports)
}

func equalSlices(s, t *EndpointSlice) bool {
	return s.Key == t.Key && s.ResourceVersion == t.ResourceVersion && s.Service == t.Service &&
		s.AddressType == t.AddressType && slices.Equal(s.Ports, t.Ports) && slices.Equal(s.Endpoints, t.Endpoints)
}

// equalNodes does not compare versions: a kubelet writes its Node every few
// minutes with nothing of this changed.
func equalNodes(n, o *Node) bool {
	return n.Name == o.Name && n.Addr == o.Addr && n.Ready == o.Ready && n.Excluded == o.Excluded && slices.Equal(n.PodCIDRs, o.PodCIDRs)
}

// putNode adds or replaces a Node and reports whether that changed anything.
func (s *store) putNode(n *Node) bool {
	i, found := searchNode(s.nodes, n.Name)
	if found && equalNodes(s.nodes[i], n) {
		return false
	}
	s.nodes = slices.Clone(s.nodes) // there are few, and a Snapshot may hold them
	if found {
		s.nodes[i] = n
	} else {
		s.nodes = slices.Insert(s.nodes, i, n)
	}
	return true
}

func (s *store) removeNode(name string) bool {
	i, found := searchNode(s.nodes, name)
	if found {
		s.nodes = slices.Delete(slices.Clone(s.nodes), i, i+1)
	}
	return found
}

func searchNode(nodes []*Node, name string) (int, bool) {
	return slices.BinarySearchFunc(nodes, name, func(n *Node, name string) int {
		switch {
		case n.Name < name:
			return -1
		case n.Name > name:
			return 1
		}
		return 0
	})
}
