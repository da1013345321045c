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
func normalizeRules() []models.HTTPRequestRule {
	return slices.Concat(percentRules(), dotSegmentRules())
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

func pathRule(variable, expr, test string) models.HTTPRequestRule {
	return models.HTTPRequestRule{Type: "set-var", VarScope: "txn", VarName: variable, VarExpr: expr, Cond: "if", CondTest: test}
}

func setPath(variable, test string) models.HTTPRequestRule {
	return models.HTTPRequestRule{Type: "set-path", PathFmt: "'%[var(txn." + variable + ")]'", Cond: "if", CondTest: test}
}

func badRequest(test string) models.HTTPRequestRule {
	return models.HTTPRequestRule{Type: "deny", DenyStatus: ptr(int64(400)), Cond: "if", CondTest: test}
}

// percentRules returns the rules that normalize percent-encoded characters (sections
// 6.2.2.1 and 6.2.2.2).
//
// To decode only unreserved characters, every other "%" is a blank meanwhile, which no path
// contains. Nothing becomes longer, as HAProxy cuts off what exceeds its buffer. A "%" that
// encodes nothing and a character that is decoded could together become an encoded
// character, as in "%6%31". Therefore a path that contains both is invalid.
func percentRules() []models.HTTPRequestRule {
	const (
		unreserved = `(2[DEde]|3[0-9]|4[1-9A-Fa-f]|5[0-9AFaf]|6[1-9A-Fa-f]|7[0-9AEae])`
		encoded    = `{ path -m reg '%` + unreserved + `' }`
		invalid    = `{ path -m reg '%([^0-9A-Fa-f]|[0-9A-Fa-f][^0-9A-Fa-f]|[0-9A-Fa-f]?$)|[[:space:]]' }`
		decoded    = "{ var(txn.podgate_decoded) -m found }"
		lower      = `{ path -m reg '%([a-f][0-9A-Fa-f]|[0-9A-Fa-f][a-f])' }`
	)
	upper := "path"
	for _, digit := range strings.Split("abcdef", "") {
		upper += fmt.Sprintf(`,regsub("%%%s([0-9A-Fa-f])","%%%s\1",g)`, digit, strings.ToUpper(digit))
		upper += fmt.Sprintf(`,regsub("%%([0-9A-Fa-f])%s","%%\1%s",g)`, digit, strings.ToUpper(digit))
	}
	return []models.HTTPRequestRule{
		badRequest(encoded + " " + invalid),
		pathRule("podgate_decoded", `'path,regsub("%"," ",g),regsub(" `+unreserved+`","%\1",g),url_dec,regsub(" ","%",g)'`, encoded),
		badRequest(encoded + " !" + decoded),
		setPath("podgate_decoded", decoded),
		pathRule("podgate_upper", "'"+upper+"'", lower),
		setPath("podgate_upper", "{ var(txn.podgate_upper) -m found }"),
	}
}

// dotSegmentRules returns the rules that remove the segments "." and ".." (section 5.2.4).
// The innermost ".." are removed haproxy.MaxDotSegments times, each with the segment before
// it. A path that still has ".." is invalid.
func dotSegmentRules() []models.HTTPRequestRule {
	const (
		current  = `regsub("(/[.])+(/|$)","/",g)`
		above    = `regsub("^(/[.][.])+(/|$)","/")`
		innerDot = `regsub("/([^/.][^/]*|[.][^/.][^/]*|[.][.][^/]+)?/[.][.](/|$)","/",g)`
	)
	remove := strings.Repeat(","+above+","+innerDot, haproxy.MaxDotSegments)
	return []models.HTTPRequestRule{
		pathRule("podgate_dots", `'path,`+current+remove+`'`, `{ path -m reg '/[.][.]?(/|$)' }`),
		badRequest(`{ var(txn.podgate_dots) -m reg '/[.][.](/|$)' }`),
		setPath("podgate_dots", "{ var(txn.podgate_dots) -m found }"),
	}
}
