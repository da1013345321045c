// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"encoding/json"
	"iter"
	"slices"
	"sort"
)

// List is an immutable list whose versions share memory: a version that replaces a
// few of thousands of items allocates a few blocks only. It may be read
// concurrently. The zero value is empty.
type List[T comparable] struct {
	blocks []*block[T] // the last is padded with zero values, so that equal Lists are deeply equal
	count  int
}

type block[T comparable] [blockSize]T

// blockSize is chosen such that a block, and the list of the blocks of 5,000 items,
// are some hundred bytes each.
const blockSize = 64

// ListOf returns a List of these items.
func ListOf[T comparable](items ...T) List[T] { return List[T]{}.Remade(items...) }

// Remade returns a List of these items that shares the blocks with l that are equal.
// It returns l if all are.
func (l List[T]) Remade(items ...T) List[T] {
	next := List[T]{count: len(items)}
	if len(items) > 0 {
		next.blocks = make([]*block[T], 0, (len(items)-1)/blockSize+1)
	}
	isNew := next.count != l.count
	for some := range slices.Chunk(items, blockSize) {
		var b block[T]
		copy(b[:], some)
		if at := len(next.blocks); at < len(l.blocks) && *l.blocks[at] == b {
			next.blocks = append(next.blocks, l.blocks[at])
			continue
		}
		next.blocks = append(next.blocks, new(b))
		isNew = true
	}
	if !isNew {
		return l
	}
	return next
}

// Len returns the number of items.
func (l List[T]) Len() int { return l.count }

// At returns the item of that index. It panics if there is no such item.
func (l List[T]) At(i int) T { return l.blocks[i/blockSize][i%blockSize] }

// Search finds an item in a sorted List and returns its index, or false and the
// index at which it would be inserted. compare returns a negative number for an item
// that precedes the one to find, zero for that item, and else a positive number.
func (l List[T]) Search(compare func(T) int) (int, bool) {
	return sort.Find(l.count, func(i int) int { return -compare(l.At(i)) })
}

// ContainsFunc reports whether f is true for any item.
func (l List[T]) ContainsFunc(f func(T) bool) bool {
	for _, item := range l.All() {
		if f(item) {
			return true
		}
	}
	return false
}

// All yields every item with its index.
func (l List[T]) All() iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		for i := range l.count {
			if !yield(i, l.blocks[i/blockSize][i%blockSize]) {
				return
			}
		}
	}
}

// Slice returns the items in a new slice; nil for an empty List.
func (l List[T]) Slice() []T {
	if l.count == 0 {
		return nil
	}
	items := make([]T, 0, len(l.blocks)*blockSize)
	for _, b := range l.blocks {
		items = append(items, b[:]...)
	}
	return items[:l.count:l.count]
}

// With returns the List with the items of changed at their indexes.
func (l List[T]) With(changed map[int]T) List[T] {
	if len(changed) == 0 {
		return l
	}
	next := List[T]{blocks: slices.Clone(l.blocks), count: l.count}
	for i, item := range changed {
		at := i / blockSize
		if next.blocks[at] == l.blocks[at] {
			next.blocks[at] = new(*l.blocks[at])
		}
		next.blocks[at][i%blockSize] = item
	}
	return next
}

// Same reports whether two Lists are identical, and not only equal.
func (l List[T]) Same(o List[T]) bool { return Same(l.blocks, o.blocks) && l.count == o.count }

// Changed yields the indexes at which the items differ from those of since, a List
// of the same length. It skips blocks that both share.
func (l List[T]) Changed(since List[T]) iter.Seq[int] {
	return func(yield func(int) bool) {
		for at, b := range l.blocks {
			if b == since.blocks[at] {
				continue
			}
			for i, item := range b {
				if item != since.blocks[at][i] && !yield(at*blockSize+i) {
					return
				}
			}
		}
	}
}

// MarshalJSON writes the items as an array.
func (l List[T]) MarshalJSON() ([]byte, error) { return json.Marshal(l.Slice()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (l *List[T]) UnmarshalJSON(text []byte) error {
	var items []T
	if err := json.Unmarshal(text, &items); err != nil {
		return err
	}
	*l = ListOf(items...)
	return nil
}
