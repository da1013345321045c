// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"podgate/haproxy"
	"podgate/kubeapi"
)

// withoutEffect returns a Problem for each annotation of a Service that has no effect on
// any port. An annotation that already has a Problem gets no other one.
//
// TestNoAnnotationIsIgnoredSilently finds annotations that noEffect does not know.
func withoutEffect(in *input, svc *kubeapi.Service, all annotations, ports []claim, problems []Problem) []Problem {
	reported := map[string]bool{}
	for _, p := range problems {
		reported[p.Key] = true
	}
	var found []Problem
	for _, a := range all {
		if reported[a.written] {
			continue
		}
		why, port := all.noEffect(in, svc, a, ports)
		if why == "" {
			continue
		}
		p := Problem{Kind: Invalid, Service: svc.Key, Key: a.written, Text: "has no effect " + why}
		if a.suffix != "" {
			p.Port = port
		}
		found = append(found, p)
	}
	return found
}

// noEffect returns why an annotation has no effect on any of the ports that are served,
// and the label of one of them; "" if it has, and if no port is served to which it applies.
func (all annotations) noEffect(in *input, svc *kubeapi.Service, a annotation, ports []claim) (why, port string) {
	if a.suffix == "" && !all.appliesTo(a, svc) {
		return "because every port has a " + string(a.key) + " of its own", ""
	}
	for _, c := range ports {
		if applied, _ := all.forPort(a.key, c.port); applied != a {
			continue
		}
		if why = c.noEffect(in, a); why == "" {
			return "", ""
		}
		port = portLabel(c.port)
	}
	return why, port
}

// appliesTo reports whether an annotation applies to any TCP port of a Service, so that
// no other annotation replaces it on each of them.
func (all annotations) appliesTo(a annotation, svc *kubeapi.Service) bool {
	tcp := 0
	for _, p := range svc.Ports {
		if !isTCP(p.Protocol) {
			continue
		}
		tcp++
		if applied, _ := all.forPort(a.key, p); applied == a {
			return true
		}
	}
	return tcp == 0
}

// noEffect returns why an annotation that applies to the port has no effect on it; "" if
// it has.
func (c *claim) noEffect(in *input, a annotation) string {
	o, tcp := c.backend.Options, c.backend.Policy.Mode == haproxy.TCP
	no, err := parseBool(a.value)
	switch {
	case c.listen != 0 && a.key.httpOnly():
		return "on a TCP port"
	case err == nil && !no:
		return "" // what is the case without the annotation
	case c.secure.passthrough && a.key.endsWithPassthrough():
		return "with passthrough"
	}
	switch a.key {
	case keyRedirectHTTPS:
		switch {
		case !c.secure.usesTLSFrontend():
			return "without sslTerm or passthrough"
		case len(in.HTTP.Binds) == 0:
			return "because http.bind in podgate.toml is empty"
		}
	case keySSLBridge:
		if !c.secure.bridge {
			return "with sslTerm"
		}
	case keyHSTS, keyTLSSecret:
		if !c.secure.sslTerm {
			return "without sslTerm"
		}
	case keyBackendVerify:
		if a.value != noVerification && !o.UsesTLS() {
			return "because connections to the pods do not use TLS"
		}
	case keyCookieName:
		if c.backend.Policy.Cookie == "" {
			return "without " + Prefix + string(keyCookie)
		}
	case keyCheckPath, keyCheckInterval:
		if !o.Check {
			return "because health checks are disabled"
		}
	case keyTimeoutServer:
		if tcp && c.backend.TimeoutTunnel != 0 {
			return "with timeout-tunnel, which replaces it"
		}
	case keyRewrite:
		if c.getsEveryPath() {
			return "because the port serves every path"
		}
	}
	return ""
}

// getsEveryPath reports whether no route of an HTTP port has a path.
func (c *claim) getsEveryPath() bool {
	for _, r := range c.routes {
		if r.Path != "" {
			return false
		}
	}
	return true
}
