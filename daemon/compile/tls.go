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

// secure is the TLS settings of a port.
type secure struct {
	sslTerm     bool
	bridge      bool // sslTerm by the annotation sslBridge, with TLS to the pods
	passthrough bool
	hsts        string     // as in haproxy.Backend
	redirect    annotation // redirect-https if it is set; else the zero value
	secret      string     // in the Service's namespace; "" for none
	secretFrom  annotation
}

// usesTLSFrontend reports whether the port is reached through the TLS frontend.
func (s secure) usesTLSFrontend() bool { return s.sslTerm || s.passthrough }

// readSecure parses the TLS settings of a port. It reports false for a port that
// must not be served without them.
func readSecure(r *annotationReader, tcp bool) (secure, bool) {
	sslTerm := required(r, keySSLTerm, parseBool)
	s := secure{sslTerm: sslTerm.or(false)}
	bridge := required(r, keySSLBridge, parseBool)
	ok := !sslTerm.bad && !bridge.bad
	from := sslTerm.annotation
	if bridge.or(false) && !s.sslTerm {
		s.sslTerm, s.bridge, from = true, true, bridge.annotation
	}
	if !tcp {
		passthrough := required(r, keyPassthrough, parseBool)
		s.passthrough = passthrough.or(false)
		ok = ok && !passthrough.bad
		if s.passthrough {
			from = passthrough.annotation
			s.sslTerm, s.bridge = false, false
		}
		readHTTPSecure(r, &s)
	}
	if ok && s.usesTLSFrontend() && !endsTLS(r.in) {
		why := "https.bind in podgate.toml is empty"
		if len(r.in.HTTPS.Binds) > 0 {
			why = "https.client_ca of podgate.toml cannot be read"
		}
		r.reportPort(Unsupported, from, "not served: %s", why)
		ok = false
	}
	return s, ok
}

// readHTTPSecure parses the TLS settings that only HTTP ports have.
func readHTTPSecure(r *annotationReader, s *secure) {
	redirect := optional(r, keyRedirectHTTPS, parseBool)
	if redirect.or(false) && s.usesTLSFrontend() && len(r.in.HTTP.Binds) > 0 {
		s.redirect = redirect.annotation
	}
	hsts := optional(r, keyHSTS, parseNumber(0, 1<<31-1))
	secret := optional(r, keyTLSSecret, parseSecretName)
	if !s.sslTerm {
		return
	}
	switch {
	case hsts.valid():
		s.hsts = strconv.Itoa(hsts.value)
	case r.in.Compatibility.ServiceLoadbalancer:
		s.hsts = ancestorHSTS
	}
	s.secret, s.secretFrom = secret.or(""), secret.annotation
}

// parseSecretName accepts a DNS subdomain in lower case (Kubernetes API concepts,
// "Object Names and IDs").
func parseSecretName(value string) (string, error) {
	host, err := haproxy.ParseHost(value)
	if err != nil || string(host) != value || strings.ContainsAny(value, "*_") {
		return "", fmt.Errorf("%s is not the name of a Secret", quote(value))
	}
	return value, nil
}

// noVerification is the value of backend-verify that verifies nothing.
const noVerification = "none"

// readVerify parses how the certificates of a port's pods are verified. It reports
// false if they cannot be verified as required, and so another host could pose as
// the pods.
func readVerify(r *annotationReader, o *haproxy.Options) bool {
	bundles := r.in.files.BackendCAs
	verify := required(r, keyBackendVerify, func(value string) (string, error) {
		if _, known := bundles[value]; !known && value != noVerification {
			return "", fmt.Errorf("%s is not none or a CA bundle in https.backend_ca_folder of podgate.toml", quote(value))
		}
		return value, nil
	})
	bundle := verify.or(noVerification)
	switch {
	case verify.bad:
		return false
	case bundle != noVerification && o.UsesTLS():
		o.CAFile = bundles[bundle]
		o.ServerName = serviceHost(r.service)
	}
	return true
}

// serverName is the name that HAProxy sends in health checks of pods with TLS: the first
// host of the port, so that a health check is like a request.
func serverName(service kubeapi.Key, routes []haproxy.Route) string {
	for _, r := range routes {
		host := string(r.Host)
		if _, notAddress := netip.ParseAddr(host); host != "" && !strings.HasPrefix(host, "*") && notAddress != nil {
			return host
		}
	}
	return serviceHost(service)
}

// serviceHost is the name of a Service in the cluster's DNS, without the cluster's domain
// (Kubernetes, "DNS for Services and Pods").
func serviceHost(service kubeapi.Key) string { return service.Name + "." + service.Namespace + ".svc" }

// passthroughRoutes returns the routes of a port with passthrough, which match
// host names only.
func passthroughRoutes(r *annotationReader, hosts []haproxy.HostPattern, from annotation) ([]haproxy.Route, annotation, bool) {
	if hosts == nil {
		a, _ := r.annotations.forPort(keyPassthrough, r.port)
		r.reportPort(Invalid, a, "requires the host annotation; the port is not served")
		return nil, from, false
	}
	var routes []haproxy.Route
	for _, host := range hosts {
		routes = append(routes, haproxy.Route{TLS: true, Host: host, Passthrough: true})
	}
	return routes, from, true
}

// tlsHost is the first claim to a host in TLS.
type tlsHost struct {
	claim       claimID
	passthrough bool
}

// claimTLSHost reports whether a route may use its host: passthrough applies to a
// whole host, or not at all.
func (m *merger) claimTLSHost(at claimID, r haproxy.Route) bool {
	if !r.TLS || r.Host == "" {
		return true
	}
	has, taken := m.tlsHosts[r.Host]
	if !taken {
		m.tlsHosts[r.Host] = tlsHost{at, r.Passthrough}
		return true
	}
	if has.passthrough != r.Passthrough {
		m.reportTaken(at, has.claim, m.claim(at).from, subject{text: "host https://" + string(r.Host), host: string(r.Host)})
		return false
	}
	return true
}

// Secret is a Secret whose certificate serves the hosts of one port.
type Secret struct {
	kubeapi.Key
	Hosts      []string // that its namespace holds, sorted; nil for a port that serves every host
	Except     []string // the hosts of wildcards in Hosts that other namespaces hold, sorted
	Service    ServicePort
	Annotation string // that names the Secret
}

// SecretKeys returns the Keys of Secrets, sorted, each once.
func (r *Result) SecretKeys() []kubeapi.Key {
	var keys []kubeapi.Key
	for _, s := range r.Secrets {
		keys = append(keys, s.Key)
	}
	return slices.Compact(keys)
}

// addSecret adds the Secret of a claim, for the hosts of its routes that its namespace
// holds.
func (m *merger) addSecret(at claimID, routes []haproxy.Route) {
	c := m.claim(at)
	if c.secure.secret == "" {
		return
	}
	var hosts []string
	shared := 0
	for _, host := range tlsHosts(routes) {
		if has := m.hosts[host]; !m.sameNamespace(at, has) {
			what := subject{text: "host " + string(host), host: string(host)}
			m.report(Conflict, at, c.secure.secretFrom, what, "belongs to namespace %s (Service %s) and keeps its certificate", m.namespace(has), m.servicePort(has))
			shared++
			continue
		}
		hosts = append(hosts, string(host))
	}
	if hosts == nil && shared > 0 {
		return
	}
	service := m.servicePort(at)
	m.out.secrets = append(m.out.secrets, Secret{
		Key:        kubeapi.Key{Namespace: service.Service.Namespace, Name: c.secure.secret},
		Hosts:      hosts,
		Service:    service,
		Annotation: c.secure.secretFrom.written,
	})
}

// tlsHosts returns the hosts of routes in TLS, sorted.
func tlsHosts(routes []haproxy.Route) []haproxy.HostPattern {
	var hosts []haproxy.HostPattern
	for _, r := range routes {
		if r.TLS && r.Host != "" {
			hosts = append(hosts, r.Host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// exceptions sets Except of every Secret.
func (m *merger) exceptions() {
	below := map[haproxy.HostPattern][]haproxy.HostPattern{} // exact hosts by wildcard
	for _, s := range m.out.secrets {
		for _, host := range s.Hosts {
			if strings.HasPrefix(host, "*.") {
				below[haproxy.HostPattern(host)] = nil
			}
		}
	}
	if len(below) == 0 {
		return
	}
	for host := range m.hosts {
		if hosts, wanted := below[host.Wildcard()]; wanted && host != host.Wildcard() {
			below[host.Wildcard()] = append(hosts, host)
		}
	}
	for i, s := range m.out.secrets {
		for _, wildcard := range s.Hosts {
			for _, host := range below[haproxy.HostPattern(wildcard)] {
				if m.namespace(m.hosts[host]) != s.Namespace {
					m.out.secrets[i].Except = append(m.out.secrets[i].Except, string(host))
				}
			}
		}
		slices.Sort(m.out.secrets[i].Except)
	}
}

func compareSecrets(a, b Secret) int {
	return cmp.Or(a.Key.Compare(b.Key), a.Service.Service.Compare(b.Service.Service), cmp.Compare(a.Service.Number, b.Service.Number))
}
