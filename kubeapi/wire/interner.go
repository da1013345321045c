// SPDX-License-Identifier: Apache-2.0

package wire

// Interner keeps one copy of strings that repeat: namespaces, node names, port names. A
// nil Interner keeps nothing. It may not be used concurrently.
type Interner map[string]string

// intern returns the shared copy of s.
func (in Interner) intern(s string) string {
	if in == nil || s == "" {
		return s
	}
	if known, ok := in[s]; ok {
		return known
	}
	in[s] = s
	return s
}

// internBytes returns the shared copy of text. It allocates only a new one.
func (in Interner) internBytes(text []byte) string {
	if known, ok := in[string(text)]; ok {
		return known
	}
	return in.intern(string(text))
}
