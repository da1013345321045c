// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// normalizeRules returns the rules that replace the path of a request by its normal form
// (RFC 3986 section 6.2.2), as haproxy.NormalizePath does. Pods decode a path and remove
// its dot segments: without these rules "/cart/../admin" and "/c%61rt" would be routed as
// other paths than those that pods take them for. Servers get the path that is routed.
//
// HAProxy's action normalize-uri does the same, but is experimental up to HAProxy 3.4
// at least: a configuration must allow all experimental directives to use it.
//
// The rules change the variable "path", which contains the normal form from then on. Of most
// paths only the first test is done, for a "%" or ".": it costs less than a regular expression.
func normalizeRules() []models.HTTPRequestRule {
	return slices.Concat(
		[]models.HTTPRequestRule{
			setVar("path", "path", "", ""),
			setVar("unusual", "bool(true)", "if", "{ var(txn.podgate_path),field(2,%.) -m found } "+pathMatches("%|/[.]")),
		},
		percentRules(), dotSegmentRules(),
		[]models.HTTPRequestRule{{Type: "set-path", PathFmt: "'%[var(txn.podgate_path)]'", Cond: "if", CondTest: unusual}},
	)
}

// unusual is the condition that a path contains "%" or a segment that begins with ".".
const unusual = "{ var(txn.podgate_unusual) -m found }"

func pathMatches(expression string) string {
	return "{ var(txn.podgate_path) -m reg '" + expression + "' }"
}

// changePath applies converters to the variable "path".
func changePath(converters, test string) models.HTTPRequestRule {
	return setVar("path", "'var(txn.podgate_path)"+converters+"'", "if", test)
}

// ambiguousRules returns the rule that rejects a haproxy.AmbiguousPath.
func ambiguousRules(s haproxy.Settings) []models.HTTPRequestRule {
	if !s.RejectAmbiguous {
		return nil
	}
	var parts []string
	for _, part := range haproxy.AmbiguousParts() {
		parts = append(parts, regexp.QuoteMeta(part))
	}
	return []models.HTTPRequestRule{badRequest("{ path -m reg '" + strings.Join(parts, "|") + "' }")}
}

func badRequest(test string) models.HTTPRequestRule {
	return models.HTTPRequestRule{Type: "deny", DenyStatus: ptr(int64(400)), Cond: "if", CondTest: test}
}

// percentRules returns the rules that normalize percent-encoded characters of the variable
// "path" (sections 6.2.2.1 and 6.2.2.2).
//
// To decode only unreserved characters, every other "%" is a blank meanwhile, which no path
// contains. Nothing becomes longer, as HAProxy cuts off what exceeds its buffer. A "%" that
// encodes nothing and a character that is decoded could together become an encoded
// character, as in "%6%31". Therefore a path that contains both is invalid: it is not
// decoded.
func percentRules() []models.HTTPRequestRule {
	const (
		unreserved = `(2[DEde]|3[0-9]|4[1-9A-Fa-f]|5[0-9AFaf]|6[1-9A-Fa-f]|7[0-9AEae])`
		invalid    = `%([^0-9A-Fa-f]|[0-9A-Fa-f][^0-9A-Fa-f]|[0-9A-Fa-f]?$)|[[:space:]]`
		lower      = `%([a-f][0-9A-Fa-f]|[0-9A-Fa-f][a-f])`
	)
	upper := ""
	for _, digit := range strings.Split("abcdef", "") {
		upper += fmt.Sprintf(`,regsub("%%%s([0-9A-Fa-f])","%%%s\1",g)`, digit, strings.ToUpper(digit))
		upper += fmt.Sprintf(`,regsub("%%([0-9A-Fa-f])%s","%%\1%s",g)`, digit, strings.ToUpper(digit))
	}
	encoded := unusual + " " + pathMatches("%"+unreserved)
	return []models.HTTPRequestRule{
		changePath(`,regsub("%"," ",g),regsub(" `+unreserved+`","%\1",g),url_dec,regsub(" ","%",g)`, encoded+" !"+pathMatches(invalid)),
		badRequest(encoded), // not decoded
		changePath(upper, unusual+" "+pathMatches(lower)),
	}
}

// dotSegmentRules returns the rules that remove the segments "." and ".." of the variable
// "path" (section 5.2.4). The innermost ".." are removed haproxy.MaxDotSegments times, each
// with the segment before it. A path that still has ".." is invalid.
func dotSegmentRules() []models.HTTPRequestRule {
	const (
		current  = `,regsub("(/[.])+(/|$)","/",g)`
		above    = `,regsub("^(/[.][.])+(/|$)","/")`
		innerDot = `,regsub("/([^/.][^/]*|[.][^/.][^/]*|[.][.][^/]+)?/[.][.](/|$)","/",g)`
	)
	return []models.HTTPRequestRule{
		changePath(current+strings.Repeat(above+innerDot, haproxy.MaxDotSegments), unusual+" "+pathMatches("/[.][.]?(/|$)")),
		badRequest(unusual + " " + pathMatches("/[.][.](/|$)")),
	}
}
