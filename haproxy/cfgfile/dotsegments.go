// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"strings"

	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// dotSegmentRules returns the rules that remove the segments "." and ".." from the path
// (RFC 3986 section 5.2.4), percent-encoded or not. Most clients remove them; for others
// "/cart/../admin" would be routed as /cart, and a pod could take it for /admin. Servers
// get the path that is routed. haproxy.RemoveDotSegments is the same in Go.
//
// HAProxy's action normalize-uri does the same, but is experimental up to HAProxy 3.4
// at least: a configuration must allow all experimental directives to use it. The
// innermost ".." are removed haproxy.MaxDotSegments times, each with the segment before
// it. A path that still has ".." is invalid.
func dotSegmentRules() []models.HTTPRequestRule {
	const has = `{ path -m reg -i '/([.]|%2e)([.]|%2e)?(/|$)' }`
	const found = "{ var(txn.podgate_dots) -m found }"
	set := func(expr, test string) models.HTTPRequestRule {
		return models.HTTPRequestRule{Type: "set-var", VarScope: "txn", VarName: "podgate_dots", VarExpr: expr, Cond: "if", CondTest: test}
	}
	const (
		// The slash after a segment is not found again as the one before the next one, so
		// that of adjacent segments only each second one is decoded.
		decode   = `regsub("/([.]%2e|%2e[.]|%2e%2e)(/|$)","/..\2",ig),regsub("/%2e(/|$)","/.\1",ig)`
		current  = `regsub("(/[.])+(/|$)","/",g)`
		above    = `regsub("^(/[.][.])+(/|$)","/")`
		innerDot = `regsub("/([^/.][^/]*|[.][^/.][^/]*|[.][.][^/]+)?/[.][.](/|$)","/",g)`
	)
	remove := strings.Repeat(","+above+","+innerDot, haproxy.MaxDotSegments)
	return []models.HTTPRequestRule{
		set(`'path,`+decode+","+decode+","+current+remove+`'`, has),
		{Type: "deny", DenyStatus: ptr(int64(400)), Cond: "if", CondTest: `{ var(txn.podgate_dots) -m reg '/[.][.](/|$)' }`},
		{Type: "set-path", PathFmt: "'%[var(txn.podgate_dots)]'", Cond: "if", CondTest: found},
	}
}
