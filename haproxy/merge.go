// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"iter"
)

// merge iterates over two lists, both sorted by compare. It yields equal elements
// together, and an element that is in one list only with nil. have and want return an
// element by its index.
func merge[T any](haves int, have func(int) *T, wants int, want func(int) *T, compare func(a, b *T) int) iter.Seq2[*T, *T] {
	return func(yield func(h, w *T) bool) {
		for i, j := 0, 0; i < haves || j < wants; {
			var h, w *T
			if i < haves {
				h = have(i)
			}
			if j < wants {
				w = want(j)
			}
			if h != nil && w != nil {
				switch order := compare(h, w); {
				case order < 0:
					w = nil
				case order > 0:
					h = nil
				}
			}
			if h != nil {
				i++
			}
			if w != nil {
				j++
			}
			if !yield(h, w) {
				return
			}
		}
	}
}

func mergeSlices[T any](have, want []T, compare func(a, b *T) int) iter.Seq2[*T, *T] {
	element := func(list []T) func(int) *T { return func(i int) *T { return &list[i] } }
	return merge(len(have), element(have), len(want), element(want), compare)
}

func mergeBackends(have, want Backends) iter.Seq2[*Backend, *Backend] {
	return merge(have.Len(), have.At, want.Len(), want.At, func(a, b *Backend) int {
		if a == b { // the usual case, without comparing names
			return 0
		}
		return cmp.Compare(a.Name, b.Name)
	})
}
