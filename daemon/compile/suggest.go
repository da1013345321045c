// SPDX-License-Identifier: Apache-2.0

package compile

import "strings"

// maxTypos is how many letters of a misspelt key may be wrong for it to be
// recognised.
const maxTypos = 2

// suggest returns the key that was probably meant, "" where none is near: at
// most maxTypos away, and two letters of it right. Case does not count.
func suggest(written string) key {
	if len(written) > maxShown {
		return ""
	}
	best, least := key(""), maxTypos+1
	for _, k := range keys() {
		if d := distance(strings.ToLower(written), strings.ToLower(string(k))); d < least && d < len(k)-1 {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of bytes to add, drop, replace, or swap with their
// neighbour on the way from a to b (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, replace)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
