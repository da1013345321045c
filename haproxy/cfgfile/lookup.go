// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// setVar is the rule that sets a variable of podgate.
func setVar(name, expr, cond, test string) models.HTTPRequestRule {
	return models.HTTPRequestRule{Type: "set-var", VarScope: "txn", VarName: "podgate_" + name, VarExpr: expr, Cond: cond, CondTest: test}
}

// lookups returns the rules that look up the host and path of a request.
//
// All keys of the maps end in a slash, as do the texts that are looked up, so that the
// longest prefix (map_beg) consists of whole segments. The lookups are those of
// haproxy.Request.Lookups, and the rules choose among the results as haproxy.Choose
// does. They skip the lookups by a less precise host after a result, because a Route of
// a more precise host precedes all others, whatever its path.
func (d *document) lookups(f haproxy.Frontend, s haproxy.Settings) []models.HTTPRequestRule {
	routes, folded := d.mapFile(haproxy.RoutesMap), d.mapFile(haproxy.FoldedRoutesMap)
	if f.TLS != (haproxy.Termination{}) {
		routes, folded = d.mapFile(haproxy.TLSRoutesMap), d.mapFile(haproxy.FoldedTLSRoutesMap)
	}
	const host, zone, within = "var(txn.podgate_host)", "var(txn.podgate_zone)", "var(txn.podgate_within)"
	plainMap := func(host, cond, test string) models.HTTPRequestRule {
		return setVar("route", host+",concat(,txn.podgate_path,/),map_beg("+routes+")", cond, test)
	}
	foldedMap := func(host, cond, test string) models.HTTPRequestRule {
		return setVar("folded", host+",concat(,txn.podgate_path,/),lower,map_beg("+folded+")", cond, test)
	}
	rules := []models.HTTPRequestRule{
		// The lookups would take a slash in Host for a part of the path.
		badRequest("{ req.fhdr(host),field(2,/) -m found }"),
		setVar("host", `req.hdr(host),host_only,lower,regsub(\.$,)`, "", ""),
		serverNameOfRequest(),
		// The target of CONNECT has no path, and no route. No key contains "?".
		setVar("path", "str(?)", "if", notAPath+" !{ path -m found } !{ url -m str * }"),
	}
	if f.TLSLoopback.IsValid() {
		rules = append(rules, d.misdirected()...)
	}
	rules = append(rules, foldedMap(host, "", ""), plainMap(host, "", ""))
	limited := ""
	var confine []models.HTTPRequestRule
	if s.HoldHosts {
		// A held host limits the lookups that follow, see haproxy.HeldHost. Its entry is in
		// the plain map.
		limited = " or " + has("within")
		confine = []models.HTTPRequestRule{
			setVar("within", field("route", haproxy.WithinField), "if", "{ var(txn.podgate_route) -m beg "+haproxy.HeldPrefix+" }"),
			{Type: "unset-var", VarScope: "txn", VarName: "podgate_route", Cond: "if", CondTest: has("within")},
		}
	}
	// A lookup by a variable that is not set does nothing.
	rules = append(rules, confine...)
	rules = append(rules,
		setVar("zone", zoneOfHost, "unless", has("route")+" or "+has("folded")+limited),
		foldedMap(zone, "", ""),
		plainMap(zone, "", ""),
	)
	rules = append(rules, confine...)
	if s.HoldHosts {
		rules = append(rules, foldedMap(within, "unless", has("folded")), plainMap(within, "", ""))
	}
	return append(rules,
		foldedMap("str(*)", "unless", has("route")+" or "+has("folded")+limited),
		plainMap("str(*)", "unless", has("route")+limited),
	)
}
