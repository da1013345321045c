// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"
	"strings"

	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// forwarded is the condition that a trusted load balancer sent the request.
const forwarded = "{ var(txn.podgate_forwarded) -m found }"

// clientRules returns the rules that determine the client address and set the headers
// that contain it. The client is the source of the connection, or the address in a
// PROXY header (expectProxy), or for a request of a trusted load balancer the address
// in X-Forwarded-For. From then on "src" is that address: in the log, in stick tables,
// for allow-source and in PROXY headers to servers. If the header has no entry there, or
// one that is not an address, the client is 0.0.0.0: it must not count as the load
// balancer, whose network allow-source may include. Without the header, as in a health
// check, the load balancer is the client.
//
// Servers get X-Forwarded-For with the client address only, because clients can write
// anything before it. HAProxy passes other X-Forwarded- headers on only if a trusted
// load balancer sent them, and other spellings of these headers never: a load balancer
// that replaces X-Forwarded-For does not remove X_Forwarded_For of the client.
//
// With PassForwarded, servers get all of these headers as the client sent them, and another
// X-Forwarded-For with the client address, as "option forwardfor" adds it. Only the headers
// about the client certificate are always removed.
func clientRules(f haproxy.Frontend, s haproxy.Settings) []models.HTTPRequestRule {
	var rules []models.HTTPRequestRule
	proto := "http"
	if f.TLS != (haproxy.Termination{}) {
		proto = "https"
	}
	ownProto := models.HTTPRequestRule{Type: "set-header", HdrName: "X-Forwarded-Proto", HdrFormat: proto}
	// %fp is dst_port, and %ci is src, as these rules set it; both cost less.
	ownPort := models.HTTPRequestRule{Type: "set-header", HdrName: "X-Forwarded-Port", HdrFormat: "%fp"}
	client := models.HTTPRequestRule{Type: "set-header", HdrName: "X-Forwarded-For", HdrFormat: "%ci"}
	certificate := strings.ToLower(clientCertificateHeaders)
	foreign := []string{"x-forwarded-", "forwarded$", "x-real-ip$", certificate}
	removed := append(otherSpellings("x-forwarded-", "x-real-ip", certificate), http2Settings)
	switch {
	case len(s.Trusted) > 0 && s.ForwardedHops > 0:
		rules = append(rules,
			models.HTTPRequestRule{Type: "set-var", VarScope: "txn", VarName: "podgate_forwarded", VarExpr: "bool(true)", Cond: "if", CondTest: fromTrusted(s)},
			models.HTTPRequestRule{Type: "set-var", VarScope: "txn", VarName: "podgate_client", VarExpr: forwardedClient(s.ForwardedHops), Cond: "if", CondTest: forwarded},
			models.HTTPRequestRule{Type: "set-src", Expr: "var(txn.podgate_client)", Cond: "if", CondTest: forwarded},
			models.HTTPRequestRule{Type: "set-src", Expr: "ipv4(0.0.0.0)", Cond: "if", CondTest: forwarded + " { req.fhdr(x-forwarded-for) -m found } !{ var(txn.podgate_client) -m ip 0.0.0.0/0 ::/0 }"},
		)
		ofOthers := delHeaders(foreign)
		ofOthers.Cond, ofOthers.CondTest = "unless", forwarded
		rules = append(rules, ofOthers)
		ownProto.Cond, ownProto.CondTest = "unless", forwarded+" { req.hdr(x-forwarded-proto) -m found }"
		ownPort.Cond, ownPort.CondTest = "unless", forwarded+" { req.hdr(x-forwarded-proto) -m found } or "+forwarded+" { req.hdr(x-forwarded-port) -m found }"
	case s.PassForwarded:
		removed = append([]string{certificate}, removed...)
		client.Type = "add-header"
		ownProto.Cond, ownProto.CondTest = "unless", "{ req.hdr(x-forwarded-proto) -m found }"
		ownPort.Cond, ownPort.CondTest = "unless", "{ req.hdr(x-forwarded-proto) -m found } or { req.hdr(x-forwarded-port) -m found }"
	default:
		removed = append(foreign, removed...)
		client.Type, ownPort.Type, ownProto.Type = "add-header", "add-header", "add-header" // the headers were removed
	}
	rules = append(rules,
		delHeaders(removed),
		client,
		ownPort, // before ownProto, which sets the header in the condition of ownPort
		ownProto,
	)
	return append(rules, clientCertificateRules(f)...)
}

// delHeaders is the rule that removes all headers whose names, in lower case, begin with one
// of these expressions. One rule costs much less than one for each name.
func delHeaders(names []string) models.HTTPRequestRule {
	return models.HTTPRequestRule{Type: "del-header", HdrName: "'^(" + strings.Join(names, "|") + ")'", HdrMethod: "reg"}
}

// otherSpellings are expressions for all header names that contain another character
// in place of a "-" of these names, or after one that ends in "-" and so is a prefix.
// Programs get headers as variables, in whose names every "-" is "_" (CGI, RFC 3875
// section 4.1.18, and WSGI, Rack), or every character that is no letter or digit (PHP
// and others): X_Forwarded_For replaces X-Forwarded-For, or is appended to it. HAProxy
// matches names in lower case.
func otherSpellings(names ...string) []string {
	const every, other = "[^a-z0-9]", "[^a-z0-9-]"
	var all []string
	for _, name := range names {
		words := strings.Split(name, "-")
		end := "$"
		if strings.HasSuffix(name, "-") {
			end = ""
			all = append(all, name+".*"+other)
		}
		for i := 1; i < len(words); i++ {
			all = append(all, strings.Join(words[:i], "-")+other+strings.Join(words[i:], every)+end)
		}
	}
	return all
}

// forwardedClient is the expression for the entry of X-Forwarded-For that contains the
// client address: without brackets (RFC 7239 section 6) and without a port, which some
// load balancers add.
func forwardedClient(hops int) string {
	return fmt.Sprintf(`'req.hdr(x-forwarded-for,-%d),regsub("^\[(.*)\](:[0-9]+)?$","\1"),regsub("^([0-9.]+):[0-9]+$","\1")'`, hops)
}

// clientCertificateHeaders is the prefix of the headers with the subject of a client
// certificate.
const clientCertificateHeaders = "X-SSL-Client-"

// clientCertificateRules returns the rules that send the subject of a verified client
// certificate to servers: the whole name, escaped as in RFC 2253, and the common name
// without escapes.
func clientCertificateRules(f haproxy.Frontend) []models.HTTPRequestRule {
	if f.TLS.ClientCA == "" {
		return nil
	}
	const verified = "{ ssl_c_used } { ssl_c_verify 0 }"
	return []models.HTTPRequestRule{
		{Type: "set-header", HdrName: clientCertificateHeaders + "DN", HdrFormat: "%[ssl_c_s_dn(,0,rfc2253)]", Cond: "if", CondTest: verified},
		{Type: "set-header", HdrName: clientCertificateHeaders + "CN", HdrFormat: "%[ssl_c_s_dn(cn)]", Cond: "if", CondTest: verified + " !{ ssl_c_s_dn(cn) -m reg [[:cntrl:]] }"},
	}
}

func fromTrusted(s haproxy.Settings) string { return "{ src " + prefixes(s.Trusted) + " }" }

// expectProxy returns the rule that requires a PROXY header on connections of trusted
// load balancers. On other connections a PROXY header is an error in HTTP mode, and
// data for the pod in TCP mode.
func expectProxy(f haproxy.Frontend, s haproxy.Settings) []models.TCPRequestRule {
	if !f.ExpectProxy || len(s.Trusted) == 0 {
		return nil
	}
	return []models.TCPRequestRule{{Type: "connection", Action: "expect-proxy", Cond: "if", CondTest: fromTrusted(s)}}
}

// allowSource returns the rules of a class that reject all clients except those of
// AllowSource.
func allowSource(p haproxy.Policy) []string {
	if p.AllowSource == "" {
		return nil
	}
	if p.Mode == haproxy.TCP {
		return []string{"tcp-request content reject if !{ src " + string(p.AllowSource) + " }"}
	}
	return []string{"http-request deny deny_status 403 if !{ src " + string(p.AllowSource) + " }"}
}
