// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"

	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// actions does what a value of haproxy.RulesMap contains, which replaces the route: its
// field BackendField is that of a value of a routes map. A rule without a letter in
// RuleFlagsField only leads to a backend.
func (p *program) actions() {
	p.set("route", field("route", haproxy.IDField)+",map_str("+p.d.mapFile(haproxy.RulesMap)+")", "")
	p.set("does", field("route", haproxy.RuleFlagsField), "")
	p.allow("unless { var(txn.podgate_does) -m len 1: }")
	p.set("response", field("route", haproxy.RuleResponseField), "if "+does(haproxy.ResponseFlag))
	p.cors()
	p.rewrite()
	p.location()
	for _, code := range haproxy.AnswerCodes() {
		p.add(models.HTTPRequestRule{
			Type: "return", ReturnStatusCode: ptr(int64(code)),
			Cond: "if", CondTest: does(haproxy.AnswerFlag) + fmt.Sprintf(" { %s -m str %d }", field("route", haproxy.RuleAnswerField), code),
		})
	}
	p.add(models.HTTPRequestRule{
		Type: "set-header", HdrName: "Host", HdrFormat: "%[" + field("route", haproxy.RuleHostField) + ",url_dec]",
		Cond: "if", CondTest: does(haproxy.HostFlag),
	})
	p.set("timeout", field("route", haproxy.RuleTimeoutField), "if "+does(haproxy.TimeoutFlag))
	p.set("request", field("route", haproxy.RuleRequestField), "if "+does(haproxy.RequestFlag))
	p.targets()
	p.requestHeaders()
}

// does is the condition that a rule has an action.
func does(flag string) string { return "{ var(txn.podgate_does) -m sub " + flag + " }" }

// rewrite rewrites the path. A redirect has the new path as well.
func (p *program) rewrite() {
	p.set("from", field("route", haproxy.RulePathField), "if "+does(haproxy.RewritesFlag))
	p.set("to", field("route", haproxy.RuleNewPathField)+",url_dec", "if "+does(haproxy.RewritesFlag)+" { "+field("route", haproxy.RuleNewPathField)+" -m len 1: }")
	p.add(replacePrefix()...)
	p.add(models.HTTPRequestRule{
		Type: "set-path", PathFmt: "%[" + field("route", haproxy.RuleFullPathField) + ",url_dec]",
		Cond: "if", CondTest: does(haproxy.FullPathFlag),
	})
}

// location redirects the client.
func (p *program) location() {
	const code, scheme, host, port = 1, 2, 3, 4
	part := func(n int) string { return fmt.Sprintf("%s,field(%d,;)", field("route", haproxy.RuleLocationField), n) }
	redirects := "if " + does(haproxy.LocationFlag)
	given := func(n int) string { return redirects + " { " + part(n) + " -m len 1: }" }
	own := "str(http)"
	if p.f.TLS != (haproxy.Termination{}) {
		own = "str(https)"
	}
	p.set("code", part(code), redirects)
	p.set("scheme", own, redirects)
	p.set("scheme", "str(https)", redirects+" { req.hdr(x-forwarded-proto) -m str -i https }")
	p.set("scheme", part(scheme), given(scheme))
	p.set("port", part(port), redirects)
	p.set("port", `'req.hdr(host),regsub("^[^:]*$",""),regsub("^.*(:[0-9]*)$","\1"),regsub("^[[].*$","")'`, redirects+" { "+part(port)+" -m str "+haproxy.KeepPort+" }")
	p.set("to", variable("host"), redirects)
	p.set("to", part(host)+",url_dec", given(host))
	p.add(models.HTTPRequestRule{Type: "deny", DenyStatus: ptr(int64(400)), Cond: "if", CondTest: does(haproxy.LocationFlag) + " !{ var(txn.podgate_to) -m len 1: }"})
	for _, status := range haproxy.RedirectCodes() {
		p.add(models.HTTPRequestRule{
			Type: "redirect", RedirType: "location", RedirCode: ptr(int64(status)),
			RedirValue: "%[var(txn.podgate_scheme)]://%[var(txn.podgate_to)]%[var(txn.podgate_port)]%[pathq]",
			Cond:       "if", CondTest: fmt.Sprintf("%s { var(txn.podgate_code) -m str %d }", does(haproxy.LocationFlag), status),
		})
	}
}

// targets chooses a target by weight.
func (p *program) targets() {
	weighted := "if " + does(haproxy.TargetsFlag)
	p.set("targets", field("route", haproxy.RuleTargetsField), weighted)
	p.set("total", variable("targets")+",field(1,;),add(0)", weighted)
	p.set("random", "rand(2147483647),mod(txn.podgate_total)", weighted)
	for i := range haproxy.MaxTargets {
		test := fmt.Sprintf(" !%s { var(txn.podgate_targets),field(%d,;),sub(txn.podgate_random) gt 0 }", has("target"), 2*i+3)
		p.set("target", fmt.Sprintf("var(txn.podgate_targets),field(%d,;)", 2*i+2), "if "+has("total")+test)
	}
	delimited := " { var(txn.podgate_target) -m sub " + haproxy.TargetDelimiter + " }"
	part := func(n int) string {
		return fmt.Sprintf("var(txn.podgate_target),field(%d,%s)", n, haproxy.TargetDelimiter)
	}
	p.add(models.HTTPRequestRule{Type: "return", ReturnStatusCode: ptr(int64(500)), Cond: "if", CondTest: beg("target", haproxy.TargetDelimiter)})
	p.set("request", part(2), "if "+has("target")+delimited)
	p.set("response", part(3), "if "+has("target")+delimited)
	p.set("route", part(1), "if "+has("target"))
}
