// SPDX-License-Identifier: Apache-2.0

package haproxy

import "math/bits"

// byteSet is a set of bytes.
type byteSet [4]uint64

func bytesOf(all ...byte) (s byteSet) {
	for _, b := range all {
		s.add(b, b)
	}
	return s
}

// add adds the bytes from lo to hi.
func (s *byteSet) add(lo, hi byte) {
	for b := int(lo); b <= int(hi); b++ {
		s[b>>6] |= 1 << (b & 63)
	}
}

func (s byteSet) has(b byte) bool { return s[b>>6]>>(b&63)&1 != 0 }

func (s byteSet) or(o byteSet) byteSet {
	for i := range s {
		s[i] |= o[i]
	}
	return s
}

func (s byteSet) and(o byteSet) byteSet {
	for i := range s {
		s[i] &= o[i]
	}
	return s
}

func (s byteSet) without(o byteSet) byteSet {
	for i := range s {
		s[i] &^= o[i]
	}
	return s
}

func (s byteSet) overlaps(o byteSet) bool { return s.and(o) != byteSet{} }

// includes reports whether s has all bytes of o.
func (s byteSet) includes(o byteSet) bool { return o.without(s) == byteSet{} }

func (s byteSet) len() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// ranges returns the first and the last byte of each range of the set.
func (s byteSet) ranges() (all [][2]byte) {
	for b := 0; b < 256; b++ {
		if !s.has(byte(b)) {
			continue
		}
		first := b
		for b < 255 && s.has(byte(b+1)) {
			b++
		}
		all = append(all, [2]byte{byte(first), byte(b)})
	}
	return all
}

// valueBytes returns the bytes that a path, a query or a header can contain: all but NUL, CR
// and LF.
func valueBytes() byteSet {
	const all = 1<<64 - 1
	return byteSet{all &^ (1 | 1<<'\n' | 1<<'\r'), all, all, all}
}
