// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"podgate/daemon/config"
	"podgate/haproxy"
)

// ExplainedTLS is the TLS handshake before a request.
type ExplainedTLS struct {
	Name        string `json:"name"`        // server name (SNI); "" for a client that only has an address
	Passthrough bool   `json:"passthrough"` // the pods terminate TLS; the other fields are empty
	// Certificates are those that HAProxy may present, one for each kind of key. If
	// the list is empty, the handshake is rejected.
	Certificates []ShownCertificate `json:"certificates"`
	Default      bool               `json:"default"` // they are the default; none matches Name
	Versions     string             `json:"versions,omitempty"`
	ALPN         string             `json:"alpn,omitempty"`
	Clients      string             `json:"clients,omitempty"` // "optional" or "required": client certificates; "" requests none
	ClientCA     string             `json:"client_ca,omitempty"`
	HSTS         string             `json:"hsts,omitempty"`    // max-age; "" sends no header
	HAProxy      string             `json:"haproxy,omitempty"` // how HAProxy differs, or why it did not answer
}

// ShownCertificate is a certificate that a client is presented.
type ShownCertificate struct {
	Source    string    `json:"source"` // a file, or "Secret shop/tls"
	Algorithm string    `json:"algorithm"`
	Names     []string  `json:"names"` // in the certificate
	Expires   time.Time `json:"expires"`
}

// handshake explains the TLS handshake before a request.
func (x *ExplainedURL) handshake(ctx context.Context, v *View, u *url.URL, through bool) {
	t := &ExplainedTLS{Name: string(haproxy.CanonicalHost(u.Host)), Passthrough: through, Certificates: []ShownCertificate{}}
	if _, err := netip.ParseAddr(strings.Trim(t.Name, "[]")); err == nil {
		t.Name = ""
	}
	x.TLS = t
	if through {
		return
	}
	f := v.Result.State.Frontends[slices.IndexFunc(v.Result.State.Frontends, func(f haproxy.Frontend) bool { return f.Name == x.Frontend })]
	t.Versions, t.ALPN = f.TLS.MinVersion+" and newer", f.TLS.ALPN
	if f.TLS.ClientCA != "" {
		t.Clients, t.ClientCA = string(f.TLS.ClientVerify), v.Config.HTTPS.ClientCA
	}
	shown := haproxy.ShownFor(t.Name, v.Shown)
	if len(shown) == 0 && f.TLS.Default != "" {
		t.Default = true
		for _, c := range v.Shown {
			if c.Name == f.TLS.Default {
				shown = append(shown, c)
			}
		}
	}
	for _, c := range shown {
		t.Certificates = append(t.Certificates, ShownCertificate{c.Source, c.Algorithm, c.Names, c.NotAfter})
	}
	if len(shown) == 0 {
		x.Verdict = "is rejected in the TLS handshake: " + whyRefused(v, t.Name)
		for _, p := range limit(v.CertificateProblems, mostNear) {
			x.Near = append(x.Near, p.String())
		}
	}
	if !t.Default {
		t.HAProxy = compareCertificates(ctx, v, t.Name, shown)
	}
}

func whyRefused(v *View, name string) string {
	why := "no certificate matches " + name
	if name == "" {
		why = "the client sends no server name"
	}
	if v.Config.HTTPS.DefaultCertificate == "" {
		return why + ", and https.default_certificate in podgate.toml is empty"
	}
	return why + ", and https.default_certificate in podgate.toml cannot be served"
}

// compareCertificates asks HAProxy which certificates it serves for a name, and
// returns how they differ; "" if they do not.
func compareCertificates(ctx context.Context, v *View, name string, want []haproxy.Certificate) string {
	var names []string
	for _, c := range want {
		names = append(names, c.Name)
	}
	all, err := v.Edge.Runtime.Certificates(ctx, append(names, "")...) // without a name it returns all
	if err != nil {
		return "did not list its certificates: " + err.Error()
	}
	have := haproxy.ShownFor(name, all)
	same := func(a, b haproxy.Certificate) bool { return a.Name == b.Name && a.Fingerprint == b.Fingerprint }
	switch {
	case slices.EqualFunc(have, want, same):
		return ""
	case len(have) == 0:
		return "does not serve it yet"
	case len(want) == 0:
		return "still serves an earlier certificate"
	}
	return "still serves another certificate"
}

// tls prints the TLS handshake.
func (p printer) tls(t *ExplainedTLS) {
	switch {
	case t == nil:
		return
	case t.Passthrough:
		p.line("  TLS       passed through by the name %s; the pods present their own certificate", t.Name)
		return
	}
	about := "terminated here, " + t.Versions
	if t.ALPN != "" {
		about += ", " + strings.ReplaceAll(t.ALPN, ",", " or ")
	}
	p.line("  TLS       %s", about)
	for _, c := range t.Certificates {
		text := fmt.Sprintf("%s (%s), for %s, until %s", c.Source, c.Algorithm, orNone(strings.Join(c.Names, ", ")), c.Expires.UTC().Format(time.RFC3339))
		switch {
		case time.Now().After(c.Expires):
			text += ", expired: clients reject it"
		case t.Default && t.Name == "":
			text += "; the default certificate, because the client sends no server name"
		case t.Default:
			text += "; the default certificate, because none matches " + t.Name
		}
		p.line("  presents  %s", text)
	}
	switch t.Clients {
	case string(config.ClientOptional):
		p.line("  clients   may present a certificate of %s", t.ClientCA)
	case string(config.ClientRequired):
		p.line("  clients   must present a certificate of %s", t.ClientCA)
	default:
		p.line("  clients   need no certificate")
	}
	if t.HSTS != "" {
		p.line("  answers   have Strict-Transport-Security: max-age=%s", t.HSTS)
	}
	if t.HAProxy != "" {
		p.line("  HAProxy   %s", p.paint(yellow, t.HAProxy))
	}
}
