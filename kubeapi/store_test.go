// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"podgate/kubeapi/wire"
)

// TestStoreWalk changes a store at random, and compares each Snapshot with one built
// from scratch. Later changes must not alter a Snapshot.
func TestStoreWalk(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := newStore()
	svcs, slcs := make(map[Key]*Service), make(map[Key]*EndpointSlice)
	type taken struct{ got, want *Snapshot }
	var all []taken
	for step := range 3000 {
		version := strconv.Itoa(step)
		key := Key{Namespace: fmt.Sprintf("ns-%d", random.IntN(3)), Name: fmt.Sprintf("a-%d", random.IntN(8))}
		switch random.IntN(7) {
		case 0, 1:
			svcs[key] = &Service{Key: key, ResourceVersion: version}
			s.put(svcs[key])
		case 2:
			delete(svcs, key)
			s.remove(wire.Services, key)
		case 3, 4:
			slcs[key] = &EndpointSlice{Key: key, ResourceVersion: version, Service: []string{"", "x", "y"}[random.IntN(3)]}
			s.put(slcs[key])
		case 5:
			delete(slcs, key)
			s.remove(wire.EndpointSlices, key)
		case 6:
			l := &wire.List{Objects: []wire.Object{&Service{Key: key, ResourceVersion: version}}}
			s.replace(source{wire.Services, key.Namespace}, l)
			maps.DeleteFunc(svcs, func(k Key, _ *Service) bool { return k.Namespace == key.Namespace })
			svcs[key] = l.Objects[0].(*Service)
		}
		if random.IntN(3) > 0 {
			continue
		}
		all = append(all, taken{s.snapshot(1), snapshotOf(svcs, slcs)})
	}
	for i, tk := range all {
		since := all[max(0, i-1-random.IntN(3))].got.Slices
		if diff := cmp.Diff(changedBetween(since, tk.got.Slices), keySet(tk.got.Slices.Changed(since))); diff != "" {
			t.Fatalf("what changed in Snapshot %d (-want +got):\n%s", i, diff)
		}
		if diff := cmp.Diff(tk.want, tk.got, plainIndexes(), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("Snapshot %d (-want +got):\n%s", i, diff)
		}
	}
}

// changedBetween compares two indexes Service by Service.
func changedBetween(before, now SliceIndex) map[Key]bool {
	changed := make(map[Key]bool)
	for _, x := range []SliceIndex{before, now} {
		for service := range x.All() {
			if !slices.Equal(before.Of(service), now.Of(service)) {
				changed[service] = true
			}
		}
	}
	return changed
}

// keySet returns the keys of seq, which may yield each only once.
func keySet(seq iter.Seq[Key]) map[Key]bool {
	set := make(map[Key]bool)
	for key := range seq {
		if set[key] {
			panic(key.String() + " was yielded twice")
		}
		set[key] = true
	}
	return set
}

func snapshotOf(svcs map[Key]*Service, slcs map[Key]*EndpointSlice) *Snapshot {
	s := &Snapshot{Complete: 1}
	groups := make(map[Key][]*EndpointSlice)
	for _, key := range slices.SortedFunc(maps.Keys(svcs), Key.Compare) {
		s.Services = append(s.Services, svcs[key])
	}
	for _, key := range slices.SortedFunc(maps.Keys(slcs), Key.Compare) {
		if slice := slcs[key]; slice.Service != "" {
			groups[serviceKey(slice)] = append(groups[serviceKey(slice)], slice)
		}
	}
	s.Slices = s.Slices.With(groups)
	return s
}

// plainIndexes shows cmp an index as a map.
func plainIndexes() cmp.Option {
	return cmp.Transformer("All", func(x SliceIndex) map[Key][]*EndpointSlice {
		groups := maps.Collect(x.All())
		if len(groups) != x.Len() {
			panic(fmt.Sprintf("an index of %d groups has the length %d", len(groups), x.Len()))
		}
		return groups
	})
}

func TestStoreReportsChanges(t *testing.T) {
	key := Key{Namespace: "shop", Name: "cart"}
	service := func() *Service {
		return &Service{Key: key, ResourceVersion: "7", Annotations: map[string]string{"a": "b"}, Ports: []ServicePort{{Port: 80}}}
	}
	slice := func() *EndpointSlice {
		return &EndpointSlice{Key: key, ResourceVersion: "7", Service: "cart", Endpoints: []Endpoint{{Ready: true}}}
	}
	s := newStore()
	moved, renewed := slice(), service()
	moved.Service = "pay"
	renewed.Ports[0].Port = 81 // at the same version, as after a restore of etcd
	for _, tt := range []struct {
		name string
		do   func() bool
		want bool
	}{
		{"a new Service", func() bool { return s.put(service()) }, true},
		{"the same Service", func() bool { return s.put(service()) }, false},
		{"other content at the same version", func() bool { return s.put(renewed) }, true},
		{"a new slice", func() bool { return s.put(slice()) }, true},
		{"the same slice", func() bool { return s.put(slice()) }, false},
		{"a slice that moves to another Service", func() bool { return s.put(moved) }, true},
		{"a list of the same slice", func() bool {
			return s.replace(source{wire.EndpointSlices, "shop"}, &wire.List{Objects: []wire.Object{moved}})
		}, false},
		{"a list in which the slice is unreadable", func() bool {
			return s.replace(source{wire.EndpointSlices, ""}, &wire.List{Unread: map[Key]error{key: nil}})
		}, false},
		{"a list of another namespace", func() bool { return s.replace(source{wire.EndpointSlices, "bank"}, &wire.List{}) }, false},
		{"an empty list", func() bool { return s.replace(source{wire.EndpointSlices, "shop"}, &wire.List{}) }, true},
		{"deleting the Service", func() bool { return s.remove(wire.Services, key) }, true},
		{"deleting the Service again", func() bool { return s.remove(wire.Services, key) }, false},
		{"deleting a slice that does not exist", func() bool { return s.remove(wire.EndpointSlices, key) }, false},
	} {
		if got := tt.do(); got != tt.want {
			t.Errorf("%s: changed %v, want %v", tt.name, got, tt.want)
		}
	}
}
