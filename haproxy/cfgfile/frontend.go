// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	parser "github.com/haproxytech/client-native/v5/config-parser"
	"github.com/haproxytech/client-native/v5/config-parser/params"
	"github.com/haproxytech/client-native/v5/config-parser/types"
	"github.com/haproxytech/client-native/v5/configuration"
	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

func (d *document) addFrontend(f haproxy.Frontend, s haproxy.Settings) {
	if f.Health != nil {
		d.addHealth(f)
		return
	}
	from := tcpDefaults
	if f.Mode == haproxy.HTTP {
		from = httpDefaults
	}
	if f.TLSLoopback.IsValid() {
		d.addPassthrough(f, s)
	}
	d.addSection(parser.Frontends, f.Name, from, &models.Frontend{Name: f.Name, DefaultBackend: f.Backend})
	d.addBinds(f)
	connections := expectProxy(f, s)
	if f.Mode != haproxy.HTTP {
		d.addConnectionRules(f.Name, connections)
		return
	}
	lines := []string{d.closeWhileDraining()}
	if f.TLSLoopback.IsValid() {
		connections = nil // the frontend before it takes them
	}
	if s.RelaySecret != "" && (f.Relay.IsValid() || f.TLSLoopback.IsValid()) {
		connections = append(connections, d.guard(f, s)...)
		lines = append(lines, secretDirective+" "+s.RelaySecret)
	}
	d.addConnectionRules(f.Name, connections)
	rules := append(clientRules(f, s), d.routing(f, s)...)
	chosen := []types.UseBackend{{Name: "%[" + field("route", haproxy.BackendField) + "]"}}
	if f.Relay.IsValid() {
		rules = relayed(rules)
		chosen = slices.Insert(chosen, 0, types.UseBackend{Name: relayBackend(f), Cond: "if", CondTest: relays})
	}
	d.addRules(f.Name, rules)
	d.setUseBackends(f.Name, chosen)
	if f.TLS != (haproxy.Termination{}) {
		lines = append(lines, d.hsts())
	}
	d.addLines(parser.Frontends, f.Name, lines)
	if f.Relay.IsValid() {
		d.addRelay(f, s)
	}
}

func (d *document) addBinds(f haproxy.Frontend) {
	binds := bindsOf(f)
	if f.TLS != (haproxy.Termination{}) {
		binds = []types.Bind{d.tlsBind(f)}
	}
	if f.Relay.IsValid() {
		binds = append(binds, proxied(f.Relay, relayName))
	}
	d.setBinds(f.Name, binds)
}

func bindsOf(f haproxy.Frontend) []types.Bind {
	binds := make([]types.Bind, len(f.Binds))
	for i, addr := range f.Binds {
		binds[i] = bind(addr)
		if f.Health != nil && f.Health.Proxy {
			binds[i].Params = append(binds[i].Params, acceptProxy())
		}
	}
	return binds
}

// tlsBind is one bind for all addresses of a frontend: each further one would
// have certificates of its own in HAProxy's memory.
func (d *document) tlsBind(f haproxy.Frontend) types.Bind {
	var b types.Bind
	if f.TLSLoopback.IsValid() {
		b = proxied(f.TLSLoopback, innerName)
	} else {
		var paths []string
		for _, one := range bindsOf(f) {
			paths = append(paths, one.Path)
			if len(one.Params) > 0 {
				b.Params = one.Params
			}
		}
		b.Path = strings.Join(paths, ",")
	}
	b.Params = append(b.Params, d.tlsParams(f.TLS)...)
	return b
}

func (d *document) setBinds(frontend string, binds []types.Bind) {
	if d.err != nil {
		return
	}
	if err := d.parser.Set(parser.Frontends, frontend, "bind", binds); err != nil {
		d.fail(fmt.Errorf("render frontend %s: %w", frontend, err))
	}
}

// proxied is a bind whose connections begin with a PROXY header, under a name
// within HAProxy.
func proxied(addr netip.AddrPort, name string) types.Bind {
	b := bind(addr)
	b.Params = append(b.Params, acceptProxy(), &params.BindOptionValue{Name: "name", Value: name})
	return b
}

// acceptProxy has every connection of a bind begin with a PROXY header.
func acceptProxy() params.BindOption { return &params.BindOptionWord{Name: "accept-proxy"} }

// bind makes an IPv6 listener one for IPv6 alone, so that [::]:80 and
// 0.0.0.0:80 stand side by side whatever net.ipv6.bindv6only says.
func bind(addr netip.AddrPort) types.Bind {
	b := types.Bind{Path: addr.String()}
	if addr.Addr().Is6() {
		b.Params = []params.BindOption{&params.BindOptionWord{Name: "v6only"}}
	}
	return b
}

// routing are the rules that lead a request to its backend. All that differs
// from Service to Service is in maps, so that it changes without a reload.
//
// A path is looked up with a slash behind it, among keys that end in one, which
// makes the longest prefix (map_beg) one of whole segments. The lookups are those
// of haproxy.Request.Lookups, and what they find is chosen from as haproxy.Choose
// does.
func (d *document) routing(f haproxy.Frontend, s haproxy.Settings) []models.HTTPRequestRule {
	const found = "{ var(txn.podgate_%s) -m found }"
	routes, folded := d.mapFile(haproxy.RoutesMap), d.mapFile(haproxy.FoldedRoutesMap)
	if f.TLS != (haproxy.Termination{}) {
		routes, folded = d.mapFile(haproxy.TLSRoutesMap), d.mapFile(haproxy.FoldedTLSRoutesMap)
	}
	set := func(name, expr, cond, test string) models.HTTPRequestRule {
		return models.HTTPRequestRule{Type: "set-var", VarScope: "txn", VarName: "podgate_" + name, VarExpr: expr, Cond: cond, CondTest: test}
	}
	has := func(name string) string { return fmt.Sprintf(found, name) }

	rules := []models.HTTPRequestRule{
		// A slash in Host would stand for a part of the path in the lookups.
		{Type: "deny", DenyStatus: ptr(int64(400)), Cond: "if", CondTest: "{ req.hdr(host) -m sub / }"},
		set("host", `req.hdr(host),host_only,lower,regsub(\.$,)`, "", ""),
		set("zone", `var(txn.podgate_host),regsub(^[^.]*,*)`, "", ""),
		set("path", `path`, "", ""),
		set("slash", `path,concat(/)`, "", ""),
		set("lower", `path,lower,concat(/)`, "", ""),
	}
	lookup := func(result, path, file string) {
		for _, host := range []string{"var(txn.podgate_host)", "var(txn.podgate_zone)", "str(*)"} {
			expr := fmt.Sprintf("%s,concat(,txn.podgate_%s),map_beg(%s)", host, path, file)
			rules = append(rules, set(result, expr, "unless", has(result)))
		}
	}
	lookup("route", "slash", routes)
	lookup("folded", "lower", folded)
	rules = append(rules,
		set("rank", `int(0)`, "", ""),
		set("rank", field("route", haproxy.RankField), "if", has("route")),
		set("route", `var(txn.podgate_folded)`, "if", has("folded")+" { "+field("folded", haproxy.RankField)+",sub(txn.podgate_rank) gt 0 }"),
		d.notFound(s, "unless", has("route")),
	)
	if f.TLS == (haproxy.Termination{}) {
		rules = append(rules, redirect(s, "if", "{ var(txn.podgate_route) -m beg "+haproxy.RedirectPrefix+" } !{ req.hdr(x-forwarded-proto) -m str -i https }"),
			set("route", "var(txn.podgate_route),regsub(^"+haproxy.ToHTTPS.Prefix()+",)", "if", "{ var(txn.podgate_route) -m beg "+haproxy.RedirectPrefix+" }"))
	}
	rules = append(rules,
		set("from", field("route", haproxy.PathField), "", ""),
		set("to", field("route", haproxy.NewPathField), "", ""),
		models.HTTPRequestRule{
			Type:    "set-path",
			PathFmt: `'%[var(txn.podgate_from),concat(|,txn.podgate_path),regsub("^([^|]*)[|]\1/*","/",i)]'`,
			Cond:    "if", CondTest: has("from") + " !" + has("to"),
		},
		models.HTTPRequestRule{
			Type:    "set-path",
			PathFmt: `'%[var(txn.podgate_to)]%[var(txn.podgate_from),concat(|,txn.podgate_path),regsub("^([^|]*)[|]\1","",i)]'`,
			Cond:    "if", CondTest: has("from") + " " + has("to"),
		},
	)
	return rules
}

// field is a field of the value of a routes map, which a variable holds.
func field(variable string, number int) string {
	return fmt.Sprintf("var(txn.podgate_%s),field(%d,|)", variable, number)
}

// redirect sends the client to the same address in https, unless a load balancer
// in front says that it came by that.
func redirect(s haproxy.Settings, cond, test string) models.HTTPRequestRule {
	port := ""
	if s.RedirectPort != 0 && s.RedirectPort != 443 {
		port = fmt.Sprintf(":%d", s.RedirectPort)
	}
	return models.HTTPRequestRule{
		Type: "redirect", RedirType: "location", RedirCode: ptr(int64(308)),
		RedirValue: "https://%[var(txn.podgate_host)]" + port + "%[pathq]",
		Cond:       cond, CondTest: test,
	}
}

// notFound answers where no route matches.
func (d *document) notFound(s haproxy.Settings, cond, test string) models.HTTPRequestRule {
	r := models.HTTPRequestRule{
		Type: "return", ReturnStatusCode: ptr(int64(404)),
		ReturnContentType:   ptr("text/plain"),
		ReturnContentFormat: "string",
		ReturnContent:       `"404 no Service is reached by this host and path\n"`,
		Cond:                cond, CondTest: test,
	}
	if s.NotFound != "" {
		r.ReturnContentType = ptr(contentType(s.NotFound))
		r.ReturnContentFormat = "file"
		r.ReturnContent = d.word("404 page", s.NotFound)
	}
	return r
}

func contentType(file string) string {
	switch filepath.Ext(file) {
	case ".json":
		return "application/json"
	case ".txt":
		return "text/plain"
	}
	return "text/html"
}

func (d *document) addRules(frontend string, rules []models.HTTPRequestRule) {
	for i, rule := range rules {
		if d.err != nil {
			return
		}
		action, err := configuration.SerializeHTTPRequestRule(rule)
		if err == nil {
			err = d.parser.Insert(parser.Frontends, frontend, "http-request", action, i)
		}
		if err != nil {
			d.fail(fmt.Errorf("render frontend %s: http-request %s: %w", frontend, rule.Type, err))
		}
	}
}

func (d *document) setUseBackends(frontend string, chosen []types.UseBackend) {
	if d.err != nil {
		return
	}
	if err := d.parser.Set(parser.Frontends, frontend, "use_backend", chosen); err != nil {
		d.fail(fmt.Errorf("render frontend %s: use_backend: %w", frontend, err))
	}
}
