// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"slices"
	"strings"
)

// MaxDotSegments is the maximum number of segments ".." in succession in a path that
// HAProxy accepts, unless they lead above the root.
const MaxDotSegments = 8

// NormalizePath returns a path as it is routed, and as servers get it. Paths that RFC
// 3986 section 6.2.2 calls equivalent have one normal form: unreserved characters are
// not percent-encoded, the digits of other percent-encoded characters are upper case, and
// the segments "." and ".." are removed.
func NormalizePath(path string) string { return removeDotSegments(normalizePercent(path)) }

// AmbiguousPath reports whether programs may take a normalized path for another one: they
// decode the slash, merge slashes, take a backslash for a slash, ignore the parameters
// of a segment, or end the path at a NUL.
func AmbiguousPath(path string) bool {
	return slices.ContainsFunc(AmbiguousParts(), func(part string) bool { return strings.Contains(path, part) })
}

// AmbiguousParts returns the texts that an AmbiguousPath contains.
func AmbiguousParts() []string { return []string{"%2F", "%5C", "%00", ";", `\`, "//"} }

// normalizePercent normalizes percent-encoded characters. A "%" that is not followed by
// two hexadecimal digits stays.
func normalizePercent(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c != '%' || i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
			b.WriteByte(c)
			continue
		}
		digits := path[i+1 : i+3]
		if decoded := unhex(digits[0])<<4 | unhex(digits[1]); isUnreserved(decoded) {
			b.WriteByte(decoded)
		} else {
			b.WriteString("%" + strings.ToUpper(digits))
		}
		i += 2
	}
	return b.String()
}

// isUnreserved reports whether c is unreserved (RFC 3986 section 2.3).
func isUnreserved(c byte) bool { return isAlphanumeric(c) || strings.IndexByte("-._~", c) >= 0 }

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// removeDotSegments removes the segments "." and ".." (RFC 3986 section 5.2.4).
func removeDotSegments(path string) string {
	if !strings.HasPrefix(path, "/") {
		return path
	}
	var kept []string
	last := ""
	for segment := range strings.SplitSeq(path[1:], "/") {
		last = segment
		switch segment {
		case ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	if isDots(last) {
		kept = append(kept, "") // the path ends in a slash
	}
	return "/" + strings.Join(kept, "/")
}

func isDots(segment string) bool { return segment == "." || segment == ".." }
