// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// program is the rules that lead a request to its backend with Settings.Rules, instead of
// those of routing. Everything that depends on Routes is in maps (haproxy.RuleMapNames),
// except for the names of headers before HAProxy 3.4.
//
//  1. The listener and the host patterns of the request.
//  2. For each host pattern, from the most special one down: the exact path, then the
//     longest prefix, then the longest prefix regardless of case. A value that lists
//     buckets is replaced by the value that follows in it. Without one, the lookups
//     continue. A plain value of the first pattern ends the rules here.
//  3. The conditions of all listed buckets, with one lookup.
//  4. The actions of the rule, if the value leads to one.
type program struct {
	d     *document
	f     haproxy.Frontend
	s     haproxy.Settings
	rules []models.HTTPRequestRule
}

// chosenRules returns the rules of program or of routing.
func (d *document) chosenRules(f haproxy.Frontend, s haproxy.Settings) []models.HTTPRequestRule {
	if !s.Rules {
		return d.routing(f, s)
	}
	p := &program{d: d, f: f, s: s}
	p.who()
	p.lookups()
	p.conditions()
	p.add(d.notFound(s, "unless", has("route")))
	p.toHTTPS()
	p.rewritePlain()
	p.allow("if !" + beg("route", haproxy.RulePrefix))
	p.actions()
	return p.rules
}

// has is the condition that a variable of podgate is set.
func has(name string) string { return fmt.Sprintf("{ var(txn.podgate_%s) -m found }", name) }

func beg(name string, prefixes ...string) string {
	text := fmt.Sprintf("{ var(txn.podgate_%s) -m beg", name)
	for _, p := range prefixes {
		text += " " + p
	}
	return text + " }"
}

func variable(name string) string { return "var(txn.podgate_" + name + ")" }

func (p *program) add(rules ...models.HTTPRequestRule) { p.rules = append(p.rules, rules...) }

// condition adds "if TEST" or "unless TEST" to a rule; "" adds nothing.
func condition(r models.HTTPRequestRule, when string) models.HTTPRequestRule {
	r.Cond, r.CondTest, _ = strings.Cut(when, " ")
	return r
}

// set sets a variable to an expression, when "if TEST" or "unless TEST" holds.
func (p *program) set(name, expr, when string) {
	p.add(condition(models.HTTPRequestRule{Type: "set-var", VarScope: "txn", VarName: "podgate_" + name, VarExpr: expr}, when))
}

func (p *program) setFormat(name, format, when string) {
	p.add(condition(models.HTTPRequestRule{Type: "set-var-fmt", VarScope: "txn", VarName: "podgate_" + name, VarFormat: format}, when))
}

func (p *program) unset(name, when string) {
	p.add(condition(models.HTTPRequestRule{Type: "unset-var", VarScope: "txn", VarName: "podgate_" + name}, when))
}

func (p *program) allow(when string) { p.add(condition(models.HTTPRequestRule{Type: "allow"}, when)) }

// who finds out what the lookups need.
func (p *program) who() {
	p.add(models.HTTPRequestRule{Type: "deny", DenyStatus: ptr(int64(400)), Cond: "if", CondTest: "{ req.hdr(host) -m sub / | }"})
	p.set("host", `req.hdr(host),host_only,lower,regsub(\.$,)`, "")
	p.add(serverNameOfRequest())
	p.set("name", variable("host"), "")
	port := ":,txn.podgate_port"
	if n, one := onePort(p.f); one {
		port = fmt.Sprintf(":%d", n)
	} else {
		p.set("port", "dst_port", "")
	}
	p.set("listener", "dst,concat("+port+"),map_str("+p.d.mapFile(haproxy.ListenersMap)+")", "")
	p.set("name", variable("listener")+",concat(,txn.podgate_host)", "if "+has("listener"))
	p.set("path", `path`, "")
	p.set("slash", `path,concat(/)`, "")
	p.set("slash", `str(/)`, "if "+noPath)
	if p.f.TLSLoopback.IsValid() {
		p.add(p.d.misdirected()...)
	}
}

// zoneOfHost is the wildcard of the host, "*.example.com".
const zoneOfHost = `var(txn.podgate_host),regsub(^[^.]*,*)`

// lookups looks up the host patterns, in the order of haproxy.HostPattern.Patterns.
func (p *program) lookups() {
	p.plain(variable("name"))
	plain := "if " + has("route") + " !" + beg("route", "!")
	p.allow(plain + " !{ " + field("route", haproxy.PathField) + " -m found }")
	p.rewritePlain(plain)
	p.allow(plain)
	p.set("lower", `path,lower,concat(/)`, "")
	p.set("lower", `str(/)`, "if "+noPath)
	p.afterPlain(variable("name"), "", true)
	limited := ""
	if p.s.HoldHosts {
		limited = " or " + has("within")
	}
	unless := "unless " + has("route") + limited
	p.set("zone", zoneOfHost, unless)
	p.set("zone", variable("listener")+",concat(,txn.podgate_zone)", "if "+has("listener"))
	p.level(variable("zone"), limited, true)
	p.set("rest", variable("host"), unless)
	for range haproxy.MaxZoneLabels {
		p.set("rest", variable("rest")+",field(2,.,0)", unless)
		p.setFormat("zone", `"%[var(txn.podgate_listener)]**.%[var(txn.podgate_rest)]"`, unless)
		p.level(variable("zone"), limited, false)
	}
	if p.s.HoldHosts {
		p.level(variable("within"), "", true)
	}
	p.set("every", variable("listener")+",concat(*)", "if "+has("listener"))
	p.set("every", "str(*)", "unless "+has("listener"))
	p.level(variable("every"), limited, true)
}

// onePort returns the port that all clients of a frontend connected to; false if it
// depends on the bind, or on a load balancer that sends its own port.
func onePort(f haproxy.Frontend) (uint16, bool) {
	if len(f.Binds) == 0 || f.ExpectProxy {
		return 0, false
	}
	port := f.Binds[0].Port()
	return port, !slices.ContainsFunc(f.Binds, func(b netip.AddrPort) bool { return b.Port() != port })
}

// level does the lookups of one host pattern, unless there is a route already.
func (p *program) level(host, limited string, folds bool) {
	p.plain(host, limited)
	p.afterPlain(host, limited, folds)
}

// lookup looks up a path of a host pattern, unless there is a route already.
func (p *program) lookup(result, host, path, how, plain, tls string, limited ...string) {
	if p.f.TLS != (haproxy.Termination{}) {
		plain = tls
	}
	p.set(result, fmt.Sprintf("%s,concat(,txn.podgate_%s),%s(%s)", host, path, how, p.d.mapFile(plain)), "unless "+has("route")+strings.Join(limited, ""))
}

// plain does the lookups that regard case.
func (p *program) plain(host string, limited ...string) {
	p.lookup("route", host, "path", "map_str", haproxy.ExactRoutesMap, haproxy.ExactTLSRoutesMap, limited...)
	p.lookup("route", host, "slash", "map_beg", haproxy.RoutesMap, haproxy.TLSRoutesMap, limited...)
}

// afterPlain does the lookup that ignores case, and evaluates the values that were found.
// A plain value has no more to look up: that of a host with Routes with FoldCase is in a
// value that lists no bucket.
func (p *program) afterPlain(host, limited string, folds bool) {
	held := haproxy.HeldPrefix
	if folds {
		test := "unless " + has("route") + " !" + beg("route", haproxy.BucketPrefix, held) + limited
		file := haproxy.FoldedRoutesMap
		if p.f.TLS != (haproxy.Termination{}) {
			file = haproxy.FoldedTLSRoutesMap
		}
		p.set("folded", fmt.Sprintf("%s,concat(,txn.podgate_lower),map_beg(%s)", host, p.d.mapFile(file)), test)
		p.set("rank", "int(0)", "if "+has("folded"))
		p.set("rank", field("route", haproxy.RankField), "if "+has("folded")+" "+has("route")+" !"+beg("route", held))
		p.set("route", variable("folded"), "if "+has("folded")+" { "+field("folded", haproxy.RankField)+",sub(txn.podgate_rank) gt 0 }")
	}
	bucket := "if " + beg("route", haproxy.BucketPrefix)
	p.setFormat("ids", `"%[var(txn.podgate_ids)]%[`+field("route", haproxy.IDField)+`]"`, bucket+" !{ "+field("route", haproxy.IDField)+" -m len 1 }")
	p.set("route", fmt.Sprintf("var(txn.podgate_route),field(%d,|,0)", haproxy.RestField), bucket)
	p.unset("route", bucket)
	if p.s.HoldHosts {
		p.set("within", field("route", haproxy.WithinField), "if "+beg("route", held))
		p.unset("route", "if "+beg("route", held))
	}
}

// conditions looks up the first conditions that the request meets.
func (p *program) conditions() {
	p.setFormat("subject", `"%[var(txn.podgate_ids)]\n%[method]\n%[var(txn.podgate_path)]\n%[query]&\n%[req.hdrs]"`, "if "+has("ids"))
	for shard := range haproxy.ConditionsShards {
		letters := haproxy.BucketLetters(shard)
		p.set("met", variable("subject")+",map_reg("+p.d.mapFile(haproxy.ConditionsMap(shard))+")", "if "+beg("ids", letters[:]...))
	}
	p.set("route", variable("met"), "if "+has("met"))
}

// toHTTPS redirects clients whose value contains a Redirect.
func (p *program) toHTTPS() {
	if p.f.TLS != (haproxy.Termination{}) {
		return
	}
	redirected := beg("route", haproxy.RedirectPrefix) + " !{ req.hdr(x-forwarded-proto) -m str -i https }"
	p.add(redirectNeedsHost(redirected), redirect(p.s, "if", redirected))
	p.set("route", "var(txn.podgate_route),regsub(^"+haproxy.ToHTTPS.Prefix()+",)", "if "+beg("route", haproxy.RedirectPrefix))
}

// rewritePlain rewrites the path if a value of a routes map contains a new one.
func (p *program) rewritePlain(when ...string) {
	test := "if !" + beg("route", haproxy.RulePrefix)
	if len(when) > 0 {
		test = when[0]
	}
	p.set("from", field("route", haproxy.PathField), test)
	p.set("to", field("route", haproxy.NewPathField), test)
	p.add(replacePrefix()...)
}
