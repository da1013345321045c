// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"strings"
	"time"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// defaultAffinity is sessionAffinityConfig.clientIP.timeoutSeconds where a
// Service has none (Kubernetes API, ClientIPConfig), maxAffinity the most that
// the API takes.
const (
	defaultAffinity = 3 * time.Hour
	maxAffinity     = 24 * time.Hour
)

// protocol is a value of backend-protocol.
type protocol string

const (
	protocolHTTP  protocol = "http"
	protocolHTTPS protocol = "https"
	protocolH2    protocol = "h2"
	protocolH2C   protocol = "h2c"
	protocolTCP   protocol = "tcp"
)

// readBackend reads how the servers of a port are used. The backend has its
// natural name and no servers yet. It reports false for one whose servers cannot
// be verified as they should.
func readBackend(r *annotationReader, cfg *input, svc *kubeapi.Service, mode haproxy.Mode, sec secure) (haproxy.Backend, bool) {
	d := cfg.Defaults
	b := haproxy.Backend{
		Name: naturalName(svc.Key, r.port.Port),
		Policy: haproxy.Policy{
			Mode:           mode,
			Balance:        optional(r, keyAlgorithm, parseAlgorithm).or(d.Algorithm),
			TimeoutConnect: optional(r, keyTimeoutConnect, parseDuration(100*time.Millisecond, 5*time.Minute)).or(0),
		},
		Options: haproxy.Options{
			Protocol: haproxy.Plain,
			MaxConn:  optional(r, keyMaxConn, parseNumber(0, 1_000_000)).or(d.MaxConn),
		},
		TimeoutServer: optional(r, keyTimeoutServer, parseDuration(time.Second, 24*time.Hour)).or(0),
	}
	readCheck(r, d, &b)
	sticky := false
	if !sec.passthrough {
		b.Options.Protocol = readProtocol(r, mode, sec.sslTerm)
	}
	if mode == haproxy.HTTP {
		b.HSTS = sec.hsts
		sticky = optional(r, keyCookie, parseBool).or(false)
	}
	verified := readVerify(r, cfg, &b.Options)
	switch {
	case sticky:
		b.Policy.Cookie, b.Policy.CookieKey = d.Cookie, d.CookieKey
	case svc.Affinity == "ClientIP":
		b.Policy.ClientAffinity = affinityTimeout(svc)
	}
	return b, verified
}

// naturalName is the name of a port's backend that has no other.
func naturalName(service kubeapi.Key, port uint16) string {
	return service.Namespace + "_" + service.Name + "_" + portNumber(kubeapi.ServicePort{Port: port})
}

// readCheck reads the health check. A path for it asks for it; without a check
// its path and interval are left out, so that backends that do the same share
// a Policy.
func readCheck(r *annotationReader, d config.Defaults, b *haproxy.Backend) {
	path := optional(r, keyCheckPath, parseCheckPath).or("")
	interval := optional(r, keyCheckInterval, parseDuration(100*time.Millisecond, time.Hour)).or(d.CheckInterval)
	if !optional(r, keyCheck, parseBool).or(d.Check || path != "") {
		return
	}
	b.Options.Check, b.Options.CheckInterval, b.Policy.CheckPath = true, interval, path
}

func affinityTimeout(svc *kubeapi.Service) time.Duration {
	if t := svc.AffinityTimeout; t >= time.Second && t <= maxAffinity {
		return t
	}
	return defaultAffinity
}

// readProtocol reads how the pods of a port are spoken to.
func readProtocol(r *annotationReader, mode haproxy.Mode, sslTerm bool) haproxy.Protocol {
	parse, fallback := parseProtocol, defaultProtocol(r.port, sslTerm)
	if mode == haproxy.TCP {
		parse = parseTCPProtocol
		if !sslTerm || fallback != protocolHTTPS {
			fallback = protocolTCP // who brings TLS to a TCP port speaks it with the pod
		}
	}
	switch optional(r, keyBackendProtocol, parse).or(fallback) {
	case protocolHTTPS:
		return haproxy.TLS
	case protocolH2:
		return haproxy.H2
	case protocolH2C:
		return haproxy.H2C
	}
	return haproxy.Plain
}

// parseProtocol takes the protocols of an HTTP port, and explains tcp to those
// who expect it to make one.
func parseProtocol(value string) (protocol, error) {
	p, err := parseOneOf(protocolHTTP, protocolHTTPS, protocolH2, protocolH2C, protocolTCP)(value)
	if p == protocolTCP {
		return "", errTCPNeedsPort
	}
	return p, err
}

// parseTCPProtocol takes those of a TCP port.
func parseTCPProtocol(value string) (protocol, error) {
	p, err := parseOneOf(protocolHTTP, protocolHTTPS, protocolH2, protocolH2C, protocolTCP)(value)
	if err == nil && p != protocolTCP && p != protocolHTTPS {
		return "", errNoHTTPOnTCP
	}
	return p, err
}

// defaultProtocol goes by the port's appProtocol (Kubernetes API, ServicePort:
// IANA names and those of KEP-3726), then by what sslTerm ports of the
// ancestor's users look like.
func defaultProtocol(p kubeapi.ServicePort, sslTerm bool) protocol {
	switch strings.ToLower(p.AppProtocol) {
	case "http", "kubernetes.io/ws":
		return protocolHTTP
	case "https", "kubernetes.io/wss":
		return protocolHTTPS
	case "h2":
		return protocolH2
	case "h2c", "kubernetes.io/h2c":
		return protocolH2C
	}
	if sslTerm && (strings.HasSuffix(p.Name, "https") || p.Port == 443 || p.Port == 8443 || p.Port == 9443) {
		return protocolHTTPS
	}
	return protocolHTTP
}

const (
	errTCPNeedsPort = textError(`"tcp" goes with ` + Prefix + `tcp, which gives the port to listen on`)
	errNoHTTPOnTCP  = textError("a TCP port carries bytes, in clear (tcp) or in TLS (https)")
)

// textError is an error that is a constant.
type textError string

func (e textError) Error() string { return string(e) }
