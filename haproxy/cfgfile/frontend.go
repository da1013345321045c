// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"cmp"
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
	if f.Stats != nil {
		d.addStats(f)
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
		addRules(d, f.Name, "tcp-request", connections, configuration.SerializeTCPRequestRule)
		if f.TLS != (haproxy.Termination{}) {
			d.addLines(parser.Frontends, f.Name, []string{serverNameOfClient()})
		}
		return
	}
	lines := []string{d.closeWhileDraining()}
	if f.TLSLoopback.IsValid() {
		connections = nil // the frontend that reads host names has these rules
	}
	if s.RelaySecret != "" && (f.Relay.IsValid() || f.TLSLoopback.IsValid()) {
		connections = append(connections, d.requireSecret(f, s)...)
		lines = append(lines, secretDirective+" "+s.RelaySecret)
	}
	addRules(d, f.Name, "tcp-request", connections, configuration.SerializeTCPRequestRule)
	rules := slices.Concat(upgradeRules(), targetRules(), normalizeRules(), ambiguousRules(s), clientRules(f, s), d.chosenRules(f, s))
	chosen := []types.UseBackend{{Name: "%[" + field("route", haproxy.BackendField) + "]"}}
	if f.Relay.IsValid() {
		rules = withRelay(rules)
		chosen = slices.Insert(chosen, 0, types.UseBackend{Name: relayBackend(f), Cond: "if", CondTest: relayCondition})
	}
	addRules(d, f.Name, "http-request", rules, configuration.SerializeHTTPRequestRule)
	d.set(f.Name, "use_backend", chosen)
	if f.TLS != (haproxy.Termination{}) {
		lines = append(lines, d.hsts())
	}
	lines = append(lines, d.responseLines()...)
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
		binds = append(binds, proxyBind(f.Relay, relayName))
	}
	d.set(f.Name, "bind", binds)
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

// tlsBind is one bind for all addresses of a frontend. With several binds HAProxy
// would hold the certificates in memory once for each.
func (d *document) tlsBind(f haproxy.Frontend) types.Bind {
	var b types.Bind
	if f.TLSLoopback.IsValid() {
		b = proxyBind(f.TLSLoopback, tlsLoopbackName)
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

// proxyBind is a named bind that requires a PROXY header.
func proxyBind(addr netip.AddrPort, name string) types.Bind {
	b := bind(addr)
	b.Params = append(b.Params, acceptProxy(), &params.BindOptionValue{Name: "name", Value: name})
	return b
}

// acceptProxy is the option of a bind that requires a PROXY header.
func acceptProxy() params.BindOption { return &params.BindOptionWord{Name: "accept-proxy"} }

// bind restricts an IPv6 listener to IPv6, so that [::]:80 and 0.0.0.0:80 do not
// conflict, regardless of the sysctl net.ipv6.bindv6only.
func bind(addr netip.AddrPort) types.Bind {
	b := types.Bind{Path: addr.String()}
	if addr.Addr().Is6() {
		b.Params = []params.BindOption{&params.BindOptionWord{Name: "v6only"}}
	}
	return b
}

// routing returns the rules that lead a request to its backend. Everything that
// depends on Services is in maps, so that it changes without a reload.
func (d *document) routing(f haproxy.Frontend, s haproxy.Settings) []models.HTTPRequestRule {
	rules := slices.Concat(d.lookups(f, s), []models.HTTPRequestRule{
		setVar("rank", fmt.Sprintf("var(txn.podgate_route,|0),field(%d,|)", haproxy.RankField), "if", has("folded")),
		setVar("route", variable("folded"), "if", "{ "+field("folded", haproxy.RankField)+",sub(txn.podgate_rank) gt 0 }"),
		d.notFound(s, "unless", has("route")),
	})
	if f.TLS == (haproxy.Termination{}) {
		redirected := has("redirect") + " !{ req.hdr(x-forwarded-proto) -m str -i https }"
		rules = append(rules,
			setVar("redirect", "bool(true)", "if", "{ var(txn.podgate_route) -m beg "+haproxy.RedirectPrefix+" }"),
			redirectNeedsHost(redirected),
			redirect(s, "if", redirected),
			setVar("route", "var(txn.podgate_route),regsub(^"+haproxy.ToHTTPS.Prefix()+",)", "if", has("redirect")),
		)
	}
	rules = append(rules,
		setVar("from", field("route", haproxy.PathField), "", ""),
		setVar("to", field("route", haproxy.NewPathField), "if", has("from")),
	)
	return append(rules, replacePrefix()...)
}

// replacePrefix returns the rules that replace the prefix "from" of the path by "to", or
// remove it if there is no "to".
func replacePrefix() []models.HTTPRequestRule {
	return []models.HTTPRequestRule{
		{
			Type:    "set-path",
			PathFmt: `'%[var(txn.podgate_from),concat(|,txn.podgate_path),regsub("^([^|]*)[|]\1/*","/",i)]'`,
			Cond:    "if", CondTest: has("from") + " !" + has("to"),
		},
		{
			Type:    "set-path",
			PathFmt: `'%[var(txn.podgate_to)]%[var(txn.podgate_from),concat(|,txn.podgate_path),regsub("^([^|]*)[|]\1","",i)]'`,
			Cond:    "if", CondTest: has("from") + " " + has("to"),
		},
	}
}

// field is the expression for a field of a value of a routes map in a variable.
func field(variable string, number int) string {
	return fmt.Sprintf("var(txn.podgate_%s),field(%d,|)", variable, number)
}

// redirect returns the rule that redirects the client to the same URL with https.
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

// notFound returns the rule that answers a request that no route matches.
func (d *document) notFound(s haproxy.Settings, cond, test string) models.HTTPRequestRule {
	status := int64(cmp.Or(s.DefaultStatus, 404))
	r := models.HTTPRequestRule{
		Type: "return", ReturnStatusCode: ptr(status),
		ReturnContentType:   ptr("text/plain"),
		ReturnContentFormat: "string",
		ReturnContent:       fmt.Sprintf(`"%d no Service is reached by this host and path\n"`, status),
		Cond:                cond, CondTest: test,
	}
	if s.NotFound != "" {
		r.ReturnContentType = ptr(contentType(s.NotFound))
		r.ReturnContentFormat = "file"
		r.ReturnContent = d.word("default page", s.NotFound)
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
