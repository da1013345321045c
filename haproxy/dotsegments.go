// SPDX-License-Identifier: Apache-2.0

package haproxy

import "strings"

// MaxDotSegments is the maximum number of segments ".." in succession in a path that
// HAProxy accepts, unless they lead above the root.
const MaxDotSegments = 8

// RemoveDotSegments returns a path as it is routed: without the segments "." and ".."
// (RFC 3986 section 5.2.4), percent-encoded or not.
func RemoveDotSegments(path string) string {
	if !strings.HasPrefix(path, "/") {
		return path
	}
	var kept []string
	last := ""
	for segment := range strings.SplitSeq(path[1:], "/") {
		last = segment
		switch dots(segment) {
		case ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	if dots(last) != "" {
		kept = append(kept, "") // the path ends in a slash
	}
	return "/" + strings.Join(kept, "/")
}

// dots returns "." or ".." if segment is a dot segment, else "".
func dots(segment string) string {
	if len(segment) > len("%2e%2e") {
		return ""
	}
	switch d := strings.ReplaceAll(strings.ToLower(segment), "%2e", "."); d {
	case ".", "..":
		return d
	}
	return ""
}
