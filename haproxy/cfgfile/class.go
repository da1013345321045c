// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"crypto/sha256"
	"fmt"

	parser "github.com/haproxytech/client-native/v5/config-parser"
	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// The defaults sections that all other sections of podgate inherit ("from"), so that
// the operator's defaults do not apply to them.
const (
	baseDefaults = "podgate"
	httpDefaults = "podgate-http"
	tcpDefaults  = "podgate-tcp"
)

// Class returns the name of the defaults section of p.Class.
func Class(p haproxy.Policy) string {
	p = p.Class()
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %d", p.Mode, p.Balance, p.Cookie, p.CookieKey, p.CheckPath, p.TimeoutConnect))
	if p.AllowSource != "" {
		sum = sha256.Sum256(append(sum[:], p.AllowSource...))
	}
	return fmt.Sprintf("podgate-%s-%s-%x", p.Mode, p.Balance, sum[:4])
}

// addBaseDefaults renders Settings.
func (d *document) addBaseDefaults(s haproxy.Settings) {
	d.addDefaults(&models.Defaults{
		Name:                 baseDefaults,
		ClientTimeout:        milliseconds(s.TimeoutClient),
		ServerTimeout:        milliseconds(s.TimeoutServer),
		ConnectTimeout:       milliseconds(s.TimeoutConnect),
		QueueTimeout:         milliseconds(s.TimeoutQueue), // HAProxy's default is that of "timeout connect"
		TunnelTimeout:        milliseconds(s.TimeoutTunnel),
		HTTPRequestTimeout:   milliseconds(s.TimeoutHTTPRequest),
		HTTPKeepAliveTimeout: milliseconds(s.TimeoutKeepAlive),
		Dontlognull:          "enabled",

		LoadServerStateFromFile: "global",
		Redispatch:              &models.Redispatch{Enabled: ptr("enabled"), Interval: ptr(int64(1))},
		Retries:                 ptr(int64(3)),
	}, append([]string{"log global"}, clientKeepAlive(s)...)...)

	http := &models.Defaults{
		Name:                httpDefaults,
		From:                baseDefaults,
		Mode:                string(haproxy.HTTP),
		Httplog:             s.AccessLog != haproxy.JSONLog && !d.spares,
		IdleCloseOnResponse: "enabled", // otherwise a reload resets idle keep-alive connections
	}
	for _, e := range s.ErrorFiles {
		http.ErrorFiles = append(http.ErrorFiles, &models.Errorfile{Code: int64(e.Code), File: d.word("error file", e.Path)})
	}
	d.addDefaults(http, d.httpLogFormat(s)...)

	d.addDefaults(&models.Defaults{
		Name:     tcpDefaults,
		From:     baseDefaults,
		Mode:     string(haproxy.TCP),
		Tcplog:   s.AccessLog != haproxy.JSONLog,
		Clitcpka: "enabled",
		Srvtcpka: "enabled",
	}, tcpLogFormat(s)...)
}

// clientKeepAlive returns the lines that make TCP probe idle clients. Without probes a
// router between HAProxy and a client can forget the connection, and the client does
// not notice when HAProxy closes it. The first probe refreshes the router; three
// unanswered probes end the connection of a dead client.
func clientKeepAlive(s haproxy.Settings) []string {
	if s.ClientKeepAlive == 0 {
		return nil
	}
	return []string{
		"option clitcpka",
		fmt.Sprintf("clitcpka-idle %ds", int(s.ClientKeepAlive.Seconds())),
		fmt.Sprintf("clitcpka-intvl %ds", max(1, int(s.ClientKeepAlive.Seconds())/4)),
		"clitcpka-cnt 3",
	}
}

// checkHost is the Host of a health check, in HAProxy's syntax: the address and port of
// the server, as in the probes of a kubelet. A server's name has no brackets around an
// IPv6 address.
const checkHost = `'%[srv_name,regsub("^(.*:.*):([0-9]+)$","[\1]:\2")]'`

// addClass adds the defaults section of a class.
func (d *document) addClass(p haproxy.Policy) {
	m := &models.Defaults{
		Name:           Class(p),
		From:           tcpDefaults,
		Balance:        &models.Balance{Algorithm: ptr(string(p.Balance))},
		ConnectTimeout: milliseconds(p.TimeoutConnect),
	}
	if p.Balance == haproxy.Source {
		m.HashType = &models.HashType{Method: "consistent"} // HAProxy adds no server at run time with "map-based"
	}
	rules := allowSource(p)
	if p.CheckPath != "" {
		m.AdvCheck = "httpchk"
		rules = append(rules, "http-check send meth GET uri "+d.word("check path", p.CheckPath)+" ver HTTP/1.1 hdr Host "+checkHost,
			"http-check expect status 200-399")
	}
	if p.Mode == haproxy.HTTP {
		m.From = httpDefaults
		if p.Cookie != "" {
			m.Cookie = &models.Cookie{Name: ptr(d.word("cookie", p.Cookie)), Type: "insert", Indirect: true, Nocache: true, Dynamic: true}
			m.DynamicCookieKey = d.word("cookie key", p.CookieKey)
		}
		// HAProxy sends a request that a server did not answer to another server, unless
		// the method is not idempotent (RFC 9110 section 9.2.2).
		m.RetryOn = "conn-failure empty-response"
		if p.Cookie != "" {
			rules = append(rules, d.cookieRules(p)...)
		}
		rules = append(rules,
			"http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
			d.setTimeout("server", haproxy.TimeoutsMap),
			d.setTimeout("tunnel", haproxy.TunnelTimeoutsMap),
		)
		if d.rules {
			rules = append(rules, "http-request set-timeout server var(txn.podgate_timeout),add(0) if "+has("timeout"))
		}
	}
	d.addDefaults(m, rules...)
}

// setTimeout returns the rule that sets a timeout to the value of the backend in a map.
func (d *document) setTimeout(timeout, name string) string {
	lookup := fmt.Sprintf("be_name,map(%s)", d.mapFile(name))
	return fmt.Sprintf("http-request set-timeout %s %s if { %s -m found }", timeout, lookup, lookup)
}

// addDefaults adds a named defaults section. client-native's models cannot express
// rules in defaults, so these are added as lines.
func (d *document) addDefaults(m *models.Defaults, lines ...string) {
	d.addSection(parser.Defaults, m.Name, m.From, m)
	d.addLines(parser.Defaults, m.Name, lines)
}
