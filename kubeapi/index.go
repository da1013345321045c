// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"iter"
	"slices"
)

// SliceIndex finds the EndpointSlices of a Service. It is never changed: a
// change makes another one, which shares with it all but the way to what changed.
// The zero value is empty.
type SliceIndex struct {
	root  *indexRoot // nil when empty
	count int
}

// The way to a Service goes by its hash over a root and a branch to a leaf, where
// one or two are of 5,000. Equal pointers mean equal content, nil is empty.
type (
	indexRoot   [indexFan]*indexBranch
	indexBranch [indexFan]*indexLeaf
	indexLeaf   struct{ groups []indexGroup }
	indexGroup  struct {
		service Key
		slices  []*EndpointSlice
	}
)

const indexFan = 64

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
	branch, leaf := place(service)
	return x.branch(branch).leaf(leaf).of(service)
}

// Len returns how many Services have EndpointSlices.
func (x SliceIndex) Len() int { return x.count }

// All yields every Service that has EndpointSlices with them, in any order.
func (x SliceIndex) All() iter.Seq2[Key, []*EndpointSlice] {
	return func(yield func(Key, []*EndpointSlice) bool) {
		for i := range indexFan {
			for j := range indexFan {
				for _, g := range x.branch(i).leaf(j).all() {
					if !yield(g.service, g.slices) {
						return
					}
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
		if x.root == since.root {
			return
		}
		for i := range indexFan {
			now, before := x.branch(i), since.branch(i)
			if now == before {
				continue
			}
			for j := range indexFan {
				if now.leaf(j) != before.leaf(j) && !now.leaf(j).changed(before.leaf(j), yield) {
					return
				}
			}
		}
	}
}

func (x SliceIndex) branch(i int) *indexBranch {
	if x.root == nil {
		return nil
	}
	return x.root[i]
}

func (b *indexBranch) leaf(i int) *indexLeaf {
	if b == nil {
		return nil
	}
	return b[i]
}

func (l *indexLeaf) all() []indexGroup {
	if l == nil {
		return nil
	}
	return l.groups
}

func (l *indexLeaf) of(service Key) []*EndpointSlice {
	for _, g := range l.all() {
		if g.service == service {
			return g.slices
		}
	}
	return nil
}

// changed yields every Service of either leaf that is another in the other one,
// and reports whether there may be more.
func (l *indexLeaf) changed(before *indexLeaf, yield func(Key) bool) bool {
	for _, g := range l.all() {
		if !slices.Equal(g.slices, before.of(g.service)) && !yield(g.service) {
			return false
		}
	}
	for _, g := range before.all() {
		if l.of(g.service) == nil && !yield(g.service) {
			return false
		}
	}
	return true
}

// with returns a leaf with group as the EndpointSlices of service: without it
// where group is empty, nil where nothing is left.
func (l *indexLeaf) with(service Key, group []*EndpointSlice) *indexLeaf {
	groups := make([]indexGroup, 0, len(l.all())+1)
	for _, g := range l.all() {
		if g.service != service {
			groups = append(groups, g)
		}
	}
	if len(group) > 0 {
		groups = append(groups, indexGroup{service, group})
	}
	if len(groups) == 0 {
		return nil
	}
	return &indexLeaf{groups}
}

// indexBuilder makes one index after the other. The zero value has none.
type indexBuilder struct {
	index SliceIndex
	own   [indexFan]bool // branches that are in no index that was handed out
	any   bool           // some are, and the root is our own as well
}

// done hands the present index out: it is not changed any more.
func (b *indexBuilder) done() SliceIndex {
	b.own, b.any = [indexFan]bool{}, false
	return b.index
}

// set makes group the EndpointSlices of service, or takes service away when that
// is empty.
func (b *indexBuilder) set(service Key, group []*EndpointSlice) {
	i, j := place(service)
	branch := b.ownBranch(i)
	before := branch[j]
	branch[j] = before.with(service, group)
	b.index.count += len(branch[j].all()) - len(before.all())
}

// ownBranch returns a branch that may be changed.
func (b *indexBuilder) ownBranch(i int) *indexBranch {
	if !b.any {
		root := new(indexRoot)
		if b.index.root != nil {
			*root = *b.index.root
		}
		b.index.root, b.any = root, true
	}
	if !b.own[i] {
		b.own[i] = true
		branch := new(indexBranch)
		if before := b.index.root[i]; before != nil {
			*branch = *before
		}
		b.index.root[i] = branch
	}
	return b.index.root[i]
}

// place returns where in an index k belongs (FNV-1a).
func place(k Key) (branch, leaf int) {
	h := uint32(2166136261)
	for _, text := range [...]string{k.Namespace, k.Name} {
		for i := range len(text) {
			h = (h ^ uint32(text[i])) * 16777619
		}
		h = (h ^ '/') * 16777619
	}
	h ^= h >> 16
	return int(h % indexFan), int(h / indexFan % indexFan)
}
