// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
)

// didYouMean returns ` (did you mean "X"?)` for the Nearest candidate; "" for none.
func didYouMean(word string, candidates []string) string {
	if near := Nearest(word, candidates); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// Nearest returns the candidate with the smallest distance from word, the first of
// equal ones. If more than a third of each candidate would have to change, it
// returns the only one that is a prefix of word or has word as its prefix, else "".
// It ignores case.
func Nearest(word string, candidates []string) string {
	word = strings.ToLower(word)
	var best, alike string
	least, count := -1, 0
	for _, c := range candidates {
		d := distance(word, strings.ToLower(c))
		if d <= max(1, len(c)/3) && d < len(c) && (least < 0 || d < least) {
			best, least = c, d
		}
		if min(len(word), len(c)) >= 3 && (strings.HasPrefix(word, c) || strings.HasPrefix(c, word)) {
			alike = c
			count++
		}
	}
	if best == "" && count == 1 {
		return alike
	}
	return best
}

// distance is the number of letters to add, remove, replace, or swap with their
// neighbour to turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(last[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
