// SPDX-License-Identifier: Apache-2.0

package haproxy

import "iter"

// sideBySide walks two lists, both sorted by compare, and yields what is equal in
// it together; what only one of them has comes beside nil.
func sideBySide[T any](have, want []T, compare func(a, b *T) int) iter.Seq2[*T, *T] {
	return func(yield func(h, w *T) bool) {
		for len(have) > 0 || len(want) > 0 {
			var h, w *T
			order := 0
			if len(have) > 0 && len(want) > 0 {
				order = compare(&have[0], &want[0])
			}
			if len(have) > 0 && order <= 0 {
				h, have = &have[0], have[1:]
			}
			if len(want) > 0 && order >= 0 {
				w, want = &want[0], want[1:]
			}
			if !yield(h, w) {
				return
			}
		}
	}
}
