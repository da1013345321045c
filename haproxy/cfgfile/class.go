// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"crypto/sha256"
	"fmt"

	parser "github.com/haproxytech/client-native/v5/config-parser"
	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// The defaults sections that every other section of ours is "from", so that the
// operator's own defaults never leak into it.
const (
	baseDefaults = "podgate"
	httpDefaults = "podgate-http"
	tcpDefaults  = "podgate-tcp"
)

// Class is the name of the defaults section that stands for p. ClientAffinity is
// no part of it: a stick table cannot stand in defaults (configuration.txt
// "stick-table").
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
		Httplog:             s.AccessLog != haproxy.JSONLog,
		IdleCloseOnResponse: "enabled", // else a reload resets idle keep-alive clients
	}
	for _, e := range s.ErrorFiles {
		http.ErrorFiles = append(http.ErrorFiles, &models.Errorfile{Code: int64(e.Code), File: d.word("error file", e.Path)})
	}
	d.addDefaults(http, logFormat(s, httpLogFields)...)

	d.addDefaults(&models.Defaults{
		Name:     tcpDefaults,
		From:     baseDefaults,
		Mode:     string(haproxy.TCP),
		Tcplog:   s.AccessLog != haproxy.JSONLog,
		Clitcpka: "enabled",
		Srvtcpka: "enabled",
	}, logFormat(s, "")...)
}

// clientKeepAlive has TCP probe clients that are silent, before what stands
// between forgets the connection: then it would not tell them when it ends. The
// first probe is the one that counts; the others find a dead client.
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

// addClass renders what is common to the backends of one Policy.
func (d *document) addClass(p haproxy.Policy) {
	m := &models.Defaults{
		Name:           Class(p),
		From:           tcpDefaults,
		Balance:        &models.Balance{Algorithm: ptr(string(p.Balance))},
		ConnectTimeout: milliseconds(p.TimeoutConnect),
	}
	if p.Balance == haproxy.Source {
		m.HashType = &models.HashType{Method: "consistent"} // the other rejects servers at runtime
	}
	rules := allowSource(p)
	if p.CheckPath != "" {
		m.AdvCheck = "httpchk"
		m.HttpchkParams = &models.HttpchkParams{Method: "GET", URI: d.word("check path", p.CheckPath)}
		rules = append(rules, "http-check expect status 200-399")
	}
	if p.Mode == haproxy.HTTP {
		m.From = httpDefaults
		if p.Cookie != "" {
			m.Cookie = &models.Cookie{Name: ptr(d.word("cookie", p.Cookie)), Type: "insert", Indirect: true, Nocache: true, Dynamic: true}
			m.DynamicCookieKey = d.word("cookie key", p.CookieKey)
		}
		// A request that a server dropped unanswered goes to another one, unless
		// doing it twice could do harm (RFC 9110 section 9.2.2).
		m.RetryOn = "conn-failure empty-response"
		timeouts := d.mapFile(haproxy.TimeoutsMap)
		rules = append(rules,
			"http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
			fmt.Sprintf("http-request set-timeout server be_name,map(%s) if { be_name,map(%s) -m found }", timeouts, timeouts),
		)
	}
	d.addDefaults(m, rules...)
}

// addDefaults adds a named defaults section. client-native's models have no
// rules in defaults, so these stand behind them as they are.
func (d *document) addDefaults(m *models.Defaults, lines ...string) {
	d.addSection(parser.Defaults, m.Name, m.From, m)
	d.addLines(parser.Defaults, m.Name, lines)
}
