// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"

	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// requestHeaders changes the headers of the request. HAProxy has no action that takes the
// name of a header from a variable, so each name has its lines.
func (p *program) requestHeaders() {
	if len(p.d.header) == 0 {
		return
	}
	p.allow("unless " + has("request"))
	for _, name := range p.d.header {
		p.d.word("header", name)
		for _, c := range headerChanges(name, "request") {
			p.add(models.HTTPRequestRule{Type: c.action, HdrName: name, HdrFormat: c.format, Cond: "if", CondTest: c.test})
		}
	}
}

// headerChange is a line that changes a header.
type headerChange struct{ action, format, test string }

// headerChanges are the changes of one header that a text in a variable can contain.
func headerChanges(name, variable string) []headerChange {
	change := func(action, op string) headerChange {
		mark := haproxy.HeaderMark + op + name + ":"
		return headerChange{
			action,
			fmt.Sprintf(`'%%[var(txn.podgate_%s),regsub("^.*%s%s([^%s]*)%s.*$","\1"),url_dec]'`, variable, haproxy.HeaderMark, escapedOp(op)+escapedName(name)+":", haproxy.HeaderMark, haproxy.HeaderMark),
			fmt.Sprintf("{ var(txn.podgate_%s) -m sub %s }", variable, mark),
		}
	}
	remove := change("del-header", haproxy.RemoveHeader)
	remove.format = ""
	return []headerChange{remove, change("set-header", haproxy.SetHeader), change("add-header", haproxy.AddHeader), change("add-header", haproxy.AddHeaderAgain)}
}

// escapedOp is an operation in a regular expression.
func escapedOp(op string) string { return "[" + op + "]" }

// escapedName is the name of a header in a regular expression.
func escapedName(name string) string {
	text := ""
	for _, c := range name {
		if c == '.' {
			text += "[.]"
			continue
		}
		text += string(c)
	}
	return text
}

// cors answers preflight requests (Fetch standard, "CORS protocol"), and finds out which
// origin responses name.
func (p *program) cors() {
	const origins, methods, headers, seconds, credentials = 1, 2, 3, 5, 6
	asked := " " + has("cors")
	allowed := has("origin") + asked
	p.set("cors", field("route", haproxy.RuleCORSField), "if "+does(haproxy.CORSFlag))
	p.set("origin", "req.fhdr(origin)", "if"+asked+" !{ req.fhdr(origin) -m sub | , * }")
	p.set("origins", part("cors", origins), "if"+asked)
	// "-m reg" has no groups.
	listed := func(expression string) string {
		return ` { 'var(txn.podgate_origin),concat(|,txn.podgate_origins),regsub("` + expression + `.*$","!",i)' -m str ! }`
	}
	p.set("allowed", variable("origin"), "if "+allowed+listed(`^([^|,*]+)[|].*,\1,`))
	p.set("allowed", variable("origin"), "if "+allowed+" !"+has("allowed")+listed(`^([a-z][a-z0-9+.-]*://)[^|,*/]+((?:[.:][^|,*]*)?)[|].*,\1[*]\2,`))
	const every = " { var(txn.podgate_origins) -m str * }"
	p.set("allowed", "str(*)", "if "+allowed+every)
	p.set("allowed", variable("origin"), "if "+allowed+every+" { "+part("cors", credentials)+" -m len 1: }")
	p.set("preflight", "req.hdr(access-control-request-method)", "if "+allowed+" { method OPTIONS }")
	preflight := "if " + has("preflight")
	for _, list := range []struct {
		name, header string
		number       int
	}{{"methods", "access-control-request-method", methods}, {"headers", "access-control-request-headers", headers}} {
		p.set(list.name, part("cors", list.number), preflight)
		p.set(list.name, "req.fhdr("+list.header+")", preflight+" { var(txn.podgate_"+list.name+") -m str * }")
	}
	p.set("seconds", part("cors", seconds), preflight)
	p.add(models.HTTPRequestRule{Type: "return", ReturnStatusCode: ptr(int64(204)), Cond: "if", CondTest: has("preflight")})
}

// part is the expression for a part of a field, counted from 1.
func part(variable string, number int) string {
	return fmt.Sprintf("var(txn.podgate_%s),field(%d,;)", variable, number)
}

// responseLines are the last lines of a frontend: they change the headers of responses,
// and add those of CORS.
func (d *document) responseLines() []string {
	if !d.rules {
		return nil
	}
	const after = "http-after-response "
	set := func(header, value, test string) string {
		return after + "set-header " + header + " " + value + " if " + test
	}
	given := func(name string) string { return " { var(txn.podgate_" + name + ") -m len 1: }" }
	allowed, preflight := has("allowed"), has("allowed")+" "+has("preflight")
	lines := []string{
		after + "allow unless " + allowed + " or " + has("response"),
		set("Access-Control-Allow-Origin", "%[var(txn.podgate_allowed)]", allowed),
		after + "add-header Vary Origin if " + allowed + " !{ var(txn.podgate_allowed) -m str * }",
		set("Access-Control-Allow-Credentials", "true", allowed+" { "+part("cors", 6)+" -m len 1: }"),
		set("Access-Control-Expose-Headers", "%["+part("cors", 4)+"]", allowed+" !"+has("preflight")+" { "+part("cors", 4)+" -m len 1: }"),
		set("Access-Control-Allow-Methods", "%[var(txn.podgate_methods)]", preflight+given("methods")),
		set("Access-Control-Allow-Headers", "%[var(txn.podgate_headers)]", preflight+given("headers")),
		set("Access-Control-Max-Age", "%[var(txn.podgate_seconds)]", preflight+given("seconds")),
	}
	for _, name := range d.header {
		for _, c := range headerChanges(name, "response") {
			line := after + c.action + " " + name
			if c.format != "" {
				line += " " + c.format
			}
			lines = append(lines, line+" if "+c.test)
		}
	}
	return lines
}
