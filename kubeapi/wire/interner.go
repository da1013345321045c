// SPDX-License-Identifier: Apache-2.0

package wire

// Interner keeps one copy of the strings that repeat: namespaces, node names,
// port names. A nil Interner keeps nothing.
type Interner map[string]string

// of returns the copy of s that everybody shares.
func (in Interner) of(s string) string {
	if in == nil || s == "" {
		return s
	}
	if known, ok := in[s]; ok {
		return known
	}
	in[s] = s
	return s
}

// ofBytes is of for text that stands in a buffer; it allocates only what is new.
func (in Interner) ofBytes(text []byte) string {
	if known, ok := in[string(text)]; ok {
		return known
	}
	return in.of(string(text))
}
