// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// secure is what a port asks for in TLS.
type secure struct {
	sslTerm     bool
	passthrough bool
	hsts        string     // as haproxy.Backend has it
	redirect    annotation // that asks for it; zero where none does
	secret      string     // in the Service's namespace; "" for none
	secretFrom  annotation
}

// edge reports whether the port is reached through the TLS frontend.
func (s secure) edge() bool { return s.sslTerm || s.passthrough }

// endsTLS reports whether there is a TLS frontend. Where clients are to be
// verified and nobody knows by whom, there is none.
func endsTLS(cfg *input) bool {
	h := cfg.HTTPS
	return len(h.Binds) > 0 && (h.ClientCA == "" || cfg.files.ClientCA != "")
}

// readSecure reads what a port asks for in TLS. It reports false for one that
// must not be served without.
func readSecure(r *annotationReader, cfg *input, tcp bool) (secure, bool) {
	sslTerm := required(r, keySSLTerm, parseBool)
	s := secure{sslTerm: sslTerm.or(false)}
	ok := !sslTerm.bad
	asked := sslTerm.annotation
	if !tcp {
		passthrough := required(r, keyPassthrough, parseBool)
		s.passthrough = passthrough.or(false)
		ok = ok && !passthrough.bad
		if s.passthrough {
			asked = passthrough.annotation
			if s.sslTerm {
				r.report(Invalid, sslTerm.annotation, "has no effect beside passthrough")
				s.sslTerm = false
			}
		}
		readForBrowsers(r, cfg, &s)
	}
	if ok && s.edge() && !endsTLS(cfg) {
		why := "podgate.toml has no [https] frontend"
		if len(cfg.HTTPS.Binds) > 0 {
			why = "https.client_ca of podgate.toml cannot be read"
		}
		r.reportPort(Unsupported, asked, "not served, %s", why)
		ok = false
	}
	return s, ok
}

// readForBrowsers reads what only HTTP knows of TLS.
func readForBrowsers(r *annotationReader, cfg *input, s *secure) {
	redirect := optional(r, keyRedirectHTTPS, parseBool)
	switch {
	case !redirect.or(false):
	case !s.edge():
		r.report(Invalid, redirect.annotation, "has no effect without sslTerm or passthrough")
	case len(cfg.HTTP.Binds) == 0:
		r.report(Invalid, redirect.annotation, "has no effect, podgate.toml has no [http] frontend")
	default:
		s.redirect = redirect.annotation
	}
	hsts := optional(r, keyHSTS, parseNumber(0, 1<<31-1))
	secret := optional(r, keyTLSSecret, parseSecretName)
	if !s.sslTerm {
		for _, of := range []struct {
			annotation annotation
			good       bool
		}{{hsts.annotation, hsts.given && !hsts.bad}, {secret.annotation, secret.given && !secret.bad}} {
			if of.good {
				r.report(Invalid, of.annotation, "has no effect without sslTerm")
			}
		}
		return
	}
	if hsts.given && !hsts.bad {
		s.hsts = strconv.Itoa(hsts.value)
	}
	s.secret, s.secretFrom = secret.or(""), secret.annotation
}

// parseSecretName takes the name of a Secret: a DNS subdomain (Kubernetes API
// concepts, "Object Names and IDs").
func parseSecretName(value string) (string, error) {
	host, err := parseHost(value)
	if err != nil || string(host) != value || strings.HasPrefix(value, "*") {
		return "", fmt.Errorf("%s is not the name of a Secret", quote(value))
	}
	return value, nil
}

// readVerify reads how the certificates of a port's pods are verified. It
// reports false where that cannot be done: not to verify who was to be verified
// would let somebody else in his place.
func readVerify(r *annotationReader, cfg *input, o *haproxy.Options) bool {
	bundles := cfg.files.BackendCAs
	verify := required(r, keyBackendVerify, func(value string) (string, error) {
		if _, known := bundles[value]; !known && value != "none" {
			return "", fmt.Errorf("%s is neither none nor a CA bundle in https.backend_ca_folder of podgate.toml", quote(value))
		}
		return value, nil
	})
	bundle := verify.or("none")
	switch {
	case verify.bad:
		return false
	case bundle == "none":
	case o.Protocol != haproxy.TLS && o.Protocol != haproxy.H2:
		r.report(Invalid, verify.annotation, "has no effect, the pods are not spoken to in TLS")
	default:
		o.CAFile = bundles[bundle]
		o.ServerName = r.service.Name + "." + r.service.Namespace + ".svc"
	}
	return true
}

// passedThrough are the routes of a port whose TLS is the pods' own: it is known
// by its names alone.
func passedThrough(r *annotationReader, sec secure, hosts []haproxy.HostPattern, from annotation) (claimed, bool) {
	for _, k := range []key{keyPath, keyACLMatch, keyRewrite, keyCookie, keyBackendProtocol, keyCheckPath} {
		if n, given := r.annotations.forPort(k, r.port); given && k != keyBackendProtocol {
			r.report(Invalid, n, "has no effect beside passthrough")
		}
	}
	if hosts == nil {
		n, _ := r.annotations.forPort(keyPassthrough, r.port)
		r.reportPort(Invalid, n, "goes with host, by which clients are told apart; the port is not served")
		return claimed{}, false
	}
	c := claimed{from: from}
	for _, host := range hosts {
		c.routes = append(c.routes, haproxy.Route{TLS: true, Host: host, Passthrough: true})
	}
	return c, true
}

// tlsHost is who was the first to have a host in TLS, and how.
type tlsHost struct {
	owner
	passthrough bool
}

// claimTLSHost sees that a host is either passed through or not.
func (m *merger) claimTLSHost(at owner, r haproxy.Route) bool {
	if !r.TLS || r.Host == "" {
		return true
	}
	has, taken := m.tlsHosts[r.Host]
	if !taken {
		m.tlsHosts[r.Host] = tlsHost{at, r.Passthrough}
		return true
	}
	if has.passthrough != r.Passthrough {
		m.lose(at, has.owner, m.claim(at).routesFrom, "host https://"+string(r.Host))
		return false
	}
	return true
}

// Secret is one that certificates are to come from, for the hosts of the port
// that names it.
type Secret struct {
	kubeapi.Key
	Hosts      []string // sorted; nil for a port that is reached by every host
	Service    ServicePort
	Annotation string // that names it
}

// SecretKeys are the Secrets that certificates are to come from, sorted, each once.
func (r *Result) SecretKeys() []kubeapi.Key {
	var keys []kubeapi.Key
	for _, s := range r.Secrets {
		keys = append(keys, s.Key)
	}
	return slices.Compact(keys)
}

// wantSecret notes what the claim wants a certificate for, of the routes that
// it was given.
func (m *merger) wantSecret(at owner, routes []haproxy.Route) {
	c := m.claim(at)
	if c.secure.secret == "" {
		return
	}
	service := m.services[at.service].object
	var hosts []string
	for _, r := range routes {
		if host := string(r.Host); r.TLS && host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	m.out.secrets = append(m.out.secrets, Secret{
		Key:        kubeapi.Key{Namespace: service.Namespace, Name: c.secure.secret},
		Hosts:      hosts,
		Service:    m.servicePort(at),
		Annotation: c.secure.secretFrom.written,
	})
}

func httpsFrontend(cfg *input, routes []haproxy.Route) haproxy.Frontend {
	binds := slices.Clone(cfg.HTTPS.Binds)
	slices.SortFunc(binds, netip.AddrPort.Compare)
	f := haproxy.Frontend{Name: reservedName + "_https", Mode: haproxy.HTTP, Binds: binds, TLS: termination(cfg)}
	if cfg.HTTPS.ClientCA == "" {
		// A relay would have to be believed who a client is.
		f.Relay = cfg.HTTPS.Relay
	}
	if slices.ContainsFunc(routes, func(r haproxy.Route) bool { return r.Passthrough }) {
		f.Inner = cfg.HTTPS.Inner
	}
	return f
}

// termination is how podgate.toml has TLS ended.
func termination(cfg *input) haproxy.Termination {
	h := cfg.HTTPS
	t := haproxy.Termination{
		MinVersion:   h.MinVersion,
		Ciphers:      h.Ciphers,
		CipherSuites: h.CipherSuites,
		ALPN:         strings.Join(h.ALPN, ","),
		Default:      cfg.files.Default,
	}
	if h.ClientCA != "" {
		t.ClientCA, t.ClientVerify = cfg.files.ClientCA, haproxy.Verify(h.ClientCertificate)
	}
	return t
}

func compareSecrets(a, b Secret) int {
	return cmp.Or(a.Key.Compare(b.Key), a.Service.Service.Compare(b.Service.Service), cmp.Compare(a.Service.Number, b.Service.Number))
}
