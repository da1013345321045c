// SPDX-License-Identifier: Apache-2.0

package cfgfile

import "github.com/haproxytech/client-native/v5/models"

// authority matches a URL up to the end of its authority (RFC 3986 section 3).
const authority = `^[A-Za-z][A-Za-z0-9.+-]*://[^/?]*`

// notAPath is the condition that the request-target of a request does not begin with a
// path. It is true for every HTTP/2 request, and for few others.
const notAPath = "{ var(txn.podgate_target) -m found }"

// noPath is the condition that a request is "OPTIONS *", which has no path.
const noPath = notAPath + " { url -m str * }"

// targetRules returns the rules that give every request a path and a Host, as the
// routing requires, if its request-target is a URL (absolute-form, RFC 9112 section
// 3.2.2). The host of the URL replaces Host, which HTTP/1.0 clients need not send;
// HAProxy itself rejects a Host that differs. Servers get the path only, and "*" for
// OPTIONS of a URL without a path (section 3.2.4). HAProxy 3.0 adds a path to such a
// URL before it applies rules.
//
// HAProxy makes a URL of every HTTP/2 request, without a path for ":path: *". It sends
// only the path of this URL to servers.
//
// A URL must have a host (RFC 9110 section 4.2.1). One with a user is rejected, as the
// user could be taken for the host (section 4.2.4). HAProxy 2.6 does not reject "*" of
// other methods.
func targetRules() []models.HTTPRequestRule {
	const absolute = "{ var(txn.podgate_url) -m found }"
	url := func(expression string) string { return notAPath + ` { url -m reg '` + expression + `' }` }
	bad := func(test string) models.HTTPRequestRule {
		return models.HTTPRequestRule{Type: "deny", DenyStatus: ptr(int64(400)), Cond: "if", CondTest: test}
	}
	setURI := func(format, test string) models.HTTPRequestRule {
		// client-native writes HdrFormat for set-uri, not URIFmt.
		return models.HTTPRequestRule{Type: "set-uri", HdrFormat: format, Cond: "if", CondTest: test}
	}
	return []models.HTTPRequestRule{
		{Type: "set-var", VarScope: "txn", VarName: "podgate_target", VarExpr: "bool(true)", Cond: "unless", CondTest: "{ url -m beg / }"},
		bad(notAPath + " { url -m str * } !{ method OPTIONS }"),
		{Type: "set-var", VarScope: "txn", VarName: "podgate_url", VarExpr: "url", Cond: "if", CondTest: notAPath + " { req.ver -m beg 1. } { url -m reg '" + authority + "' }"},
		bad(absolute + " { url -m reg '^[^/]*://([^/?]*@|[/?]|$)' }"),
		// After a rule that sets the URI, the next ones do not match.
		setURI("*", notAPath+" { method OPTIONS } { url -m reg '"+authority+"$' }"),
		setURI(`'%[url,regsub("`+authority+`","/")]'`, url(authority+"([?]|$)")),
		setURI(`'%[url,regsub("`+authority+`","")]'`, absolute),
		// Before the URI is set, HAProxy would also set the host of the URL.
		{Type: "set-header", HdrName: "Host", HdrFormat: `'%[var(txn.podgate_url),regsub("^[^/]*://([^/?]*).*","\1")]'`, Cond: "if", CondTest: absolute},
	}
}

// redirectNeedsHost returns the rule that rejects a request that is to be redirected,
// but names no host that the client could be redirected to.
func redirectNeedsHost(redirected string) models.HTTPRequestRule {
	return models.HTTPRequestRule{Type: "deny", DenyStatus: ptr(int64(400)), Cond: "if", CondTest: redirected + " !{ var(txn.podgate_host) -m len 1: }"}
}
