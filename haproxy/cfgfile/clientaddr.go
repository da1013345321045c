// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"

	parser "github.com/haproxytech/client-native/v5/config-parser"
	"github.com/haproxytech/client-native/v5/configuration"
	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// forwarded is the condition that a request comes from who is believed about
// its client.
const forwarded = "{ var(txn.podgate_forwarded) -m found }"

// clientRules establish who the client is, and are all that touches what a
// server is told of it. The client is who connected, or whom a PROXY header names
// (expectProxy); in a request of those whose X-Forwarded-For is believed, whom
// that names. From then on "src" is the client: in the log, in stick tables, for
// allow-source and in PROXY headers to servers.
//
// A server sees the client alone in X-Forwarded-For: what stands before it there
// was written by whoever liked to. Of all other X-Forwarded- headers only those
// of whom is believed are passed on.
func clientRules(f haproxy.Frontend, s haproxy.Settings) []models.HTTPRequestRule {
	var rules []models.HTTPRequestRule
	proto := "http"
	if f.TLS != (haproxy.Termination{}) {
		proto = "https"
	}
	ownProto := models.HTTPRequestRule{Type: "set-header", HdrName: "X-Forwarded-Proto", HdrFormat: proto}
	ownPort := models.HTTPRequestRule{Type: "set-header", HdrName: "X-Forwarded-Port", HdrFormat: "%[dst_port]"}
	strange := []models.HTTPRequestRule{
		{Type: "del-header", HdrName: "X-Forwarded-", HdrMethod: "beg"},
		{Type: "del-header", HdrName: "Forwarded"},
		{Type: "del-header", HdrName: "X-Real-IP"},
		{Type: "del-header", HdrName: clientCertificateHeaders, HdrMethod: "beg"},
	}
	if len(s.Trusted) > 0 && s.ForwardedHops > 0 {
		rules = append(rules,
			models.HTTPRequestRule{Type: "set-var", VarScope: "txn", VarName: "podgate_forwarded", VarExpr: "bool(true)", Cond: "if", CondTest: fromTrusted(s)},
			models.HTTPRequestRule{Type: "set-src", Expr: fmt.Sprintf("req.hdr_ip(x-forwarded-for,-%d)", s.ForwardedHops), Cond: "if", CondTest: forwarded},
		)
		for i := range strange {
			strange[i].Cond, strange[i].CondTest = "unless", forwarded
		}
		ownProto.Cond, ownProto.CondTest = "unless", forwarded+" { req.hdr(x-forwarded-proto) -m found }"
		ownPort.Cond, ownPort.CondTest = "unless", forwarded+" { req.hdr(x-forwarded-proto) -m found } or "+forwarded+" { req.hdr(x-forwarded-port) -m found }"
	}
	rules = append(rules, strange...)
	rules = append(rules,
		models.HTTPRequestRule{Type: "set-header", HdrName: "X-Forwarded-For", HdrFormat: "%[src]"},
		ownPort, // before it: another's scheme does not go with our port
		ownProto,
	)
	return append(rules, certified(f)...)
}

// clientCertificateHeaders begins the names of the headers that tell servers whom
// the certificate of a client names.
const clientCertificateHeaders = "X-SSL-Client-"

// certified tells servers whom the certificate of a client names, where it was
// verified: the name as a whole, escaped as RFC 2253 has it, and the common name
// by itself, which is not.
func certified(f haproxy.Frontend) []models.HTTPRequestRule {
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

// expectProxy has connections of those who are believed begin with a PROXY
// header, and of nobody else: theirs is an error in HTTP, and the pod's to judge
// in TCP.
func expectProxy(f haproxy.Frontend, s haproxy.Settings) []models.TCPRequestRule {
	if !f.ExpectProxy || len(s.Trusted) == 0 {
		return nil
	}
	return []models.TCPRequestRule{{Type: "connection", Action: "expect-proxy", Cond: "if", CondTest: fromTrusted(s)}}
}

// addConnectionRules adds rules that look at a connection before its requests.
func (d *document) addConnectionRules(frontend string, rules []models.TCPRequestRule) {
	for i, rule := range rules {
		if d.err != nil {
			return
		}
		action, err := configuration.SerializeTCPRequestRule(rule)
		if err == nil {
			err = d.parser.Insert(parser.Frontends, frontend, "tcp-request", action, i)
		}
		if err != nil {
			d.fail(fmt.Errorf("render frontend %s: tcp-request %s: %w", frontend, rule.Action, err))
		}
	}
}

// allowSource are the rules of a class that reject all clients but some.
func allowSource(p haproxy.Policy) []string {
	if p.AllowSource == "" {
		return nil
	}
	if p.Mode == haproxy.TCP {
		return []string{"tcp-request content reject if !{ src " + string(p.AllowSource) + " }"}
	}
	return []string{"http-request deny deny_status 403 if !{ src " + string(p.AllowSource) + " }"}
}
