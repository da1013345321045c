// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// String describes the State in a line for each frontend, route, certificate, backend
// and server, without Settings. The scenarios of package compile compare it.
func (s State) String() string {
	var b strings.Builder
	for _, f := range s.Frontends {
		fmt.Fprintf(&b, "frontend %s %s", f.Name, f.Mode)
		for _, addr := range f.Binds {
			fmt.Fprintf(&b, " %s", addr)
		}
		b.WriteString(f.TLS.describe())
		if f.TLSLoopback.IsValid() {
			fmt.Fprintf(&b, " inner=%s", f.TLSLoopback)
		}
		if f.Backend != "" {
			fmt.Fprintf(&b, " -> %s", f.Backend)
		}
		if f.ExpectProxy {
			b.WriteString(" expect-proxy")
		}
		if h := f.Health; h != nil {
			b.WriteString(h.describe())
		}
		if f.Stats != nil {
			b.WriteString(f.Stats.describe())
		}
		b.WriteByte('\n')
	}
	for _, r := range s.Routes {
		b.WriteString(r.String())
		b.WriteByte('\n')
	}
	for _, h := range s.HeldHosts {
		fmt.Fprintf(&b, "host %s of namespace %s\n", h.Host, h.Namespace)
	}
	for _, c := range s.Certificates {
		fmt.Fprintf(&b, "certificate %s\n", c)
	}
	for _, be := range s.Backends.All() {
		fmt.Fprintf(&b, "backend %s\n", be.describe())
		for _, srv := range be.Servers {
			fmt.Fprintf(&b, "  server %s %s", srv.Name(), srv.State)
			if srv.Weight != 0 {
				fmt.Fprintf(&b, " weight=%d", srv.Weight)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// URL is the URL of the Route: "shop.example.com/cart", "*/cart" for every host, or
// "https://shop.example.com/cart".
func (r Route) URL() string {
	url := string(cmp.Or(r.Host, "*")) + string(cmp.Or(r.Path, "/"))
	if r.TLS {
		url = "https://" + url
	}
	return url
}

// CaseNote is " in any case" for a Route with FoldCase, else "". It follows URL.
func (r Route) CaseNote() string {
	if r.FoldCase {
		return " in any case"
	}
	return ""
}

// String is "route http host/path -> backend", and the fields that are set.
func (r Route) String() string {
	frontend, target := "http", r.Backend
	if r.TLS {
		frontend = "https"
	}
	if r.Redirect != "" {
		target = "https"
	}
	line := fmt.Sprintf("route %s %s%s -> %s", frontend, cmp.Or(r.Host, "*"), cmp.Or(r.Path, "/"), target)
	if r.Passthrough {
		line += " passthrough"
	}
	if r.FoldCase {
		line += " fold-case"
	}
	if r.Rewrite != "" {
		line += fmt.Sprintf(" rewrite=%s", r.Rewrite)
	}
	return line + r.describeRule()
}

// describe is " health=/healthz", and the fields that are set.
func (h *Health) describe() string {
	text := " health=" + h.Path
	if h.Proxy {
		text += " accept-proxy"
	}
	if len(h.Sources) > 0 {
		text += fmt.Sprintf(" sources=%s", h.Sources)
	}
	return text
}

// describe is " tls=MIN_VERSION", and the fields that are set; "" for the zero
// Termination.
func (t Termination) describe() string {
	if t == (Termination{}) {
		return ""
	}
	text := " tls=" + t.MinVersion
	for _, v := range []struct{ key, value string }{{"alpn", t.ALPN}, {"default", t.Default}, {"client-ca", t.ClientCA}, {"client", string(t.ClientVerify)}} {
		if v.value != "" {
			text += " " + v.key + "=" + v.value
		}
	}
	return text
}

// describe is the backend's name, and the fields of its policy and options that are
// set.
func (b Backend) describe() string {
	p, o := b.Policy, b.Options
	words := []string{b.Name, string(p.Mode), string(p.Balance)}
	add := func(key, value string) {
		if value != "" {
			words = append(words, key+"="+value)
		}
	}
	addDuration := func(key string, d time.Duration) {
		if d != 0 {
			add(key, d.String())
		}
	}
	if o.Protocol != Plain {
		add("protocol", string(o.Protocol))
	}
	add("verify", o.CAFile)
	add("name", o.ServerName)
	add("hsts", b.HSTS)
	add("cookie", p.Cookie)
	add("cookie-name", b.Cookie.String())
	addDuration("client-affinity", p.ClientAffinity)
	if o.Check {
		add("check", o.CheckInterval.String())
	}
	add("check-path", p.CheckPath)
	addDuration("timeout-connect", p.TimeoutConnect)
	addDuration("timeout-server", b.TimeoutServer)
	addDuration("timeout-tunnel", b.TimeoutTunnel)
	if o.MaxConn != 0 {
		add("maxconn", strconv.Itoa(o.MaxConn))
	}
	addDuration("slowstart", o.SlowStart)
	add("send-proxy", string(o.SendProxy))
	add("allow-source", strings.ReplaceAll(string(p.AllowSource), " ", ","))
	if b.Unknown {
		words = append(words, "unknown")
	}
	return strings.Join(words, " ")
}
