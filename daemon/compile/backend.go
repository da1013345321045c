// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// defaultAffinity and maxAffinity are the default and the maximum of
// sessionAffinityConfig.clientIP.timeoutSeconds (Kubernetes API, ClientIPConfig).
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

// readBackend parses the settings of a port's backend, which has its default name
// and no servers, and the annotation that names its cookie. It reports false if the certificates of the servers cannot be
// verified as the annotation requires.
func readBackend(r *annotationReader, svc *kubeapi.Service, mode haproxy.Mode, sec secure) (haproxy.Backend, setting[string], bool) {
	d := r.in.Defaults
	b := haproxy.Backend{
		Name: defaultName(svc.Key, r.port.Port),
		Policy: haproxy.Policy{
			Mode:           mode,
			Balance:        optional(r, keyAlgorithm, parseOneOf(haproxy.Balances()...)).or(d.Algorithm),
			TimeoutConnect: optional(r, keyTimeoutConnect, parseDuration(100*time.Millisecond, 5*time.Minute)).or(0),
		},
		Options: haproxy.Options{
			Protocol: haproxy.Plain,
			MaxConn:  optional(r, keyMaxConn, parseNumber(0, 1_000_000)).or(d.MaxConn),
		},
		TimeoutServer: optional(r, keyTimeoutServer, parseDuration(time.Second, 24*time.Hour)).or(0),
		TimeoutTunnel: optional(r, keyTimeoutTunnel, parseDuration(time.Second, 7*24*time.Hour)).or(0),
	}
	readCheck(r, d, sec, &b)
	sticky := false
	var cookie setting[string]
	if !sec.passthrough {
		b.Options.Protocol = readProtocol(r, mode, sec)
	}
	if mode == haproxy.HTTP {
		b.HSTS = sec.hsts
		sticky, cookie = readCookie(r, svc, sec, &b)
	}
	verified := readVerify(r, &b.Options)
	if !sticky && svc.Affinity == "ClientIP" {
		b.Policy.ClientAffinity = affinityTimeout(svc)
	}
	return b, cookie, verified
}

// defaultName is the name of a port's backend unless an annotation sets another.
func defaultName(service kubeapi.Key, port uint16) string {
	return service.Namespace + "_" + service.Name + "_" + portNumber(kubeapi.ServicePort{Port: port})
}

// readCheck parses the health check. A path enables the check, except with passthrough:
// pods would reject a request without TLS. If it is disabled, path and interval are not
// set, so that equal backends have one Policy.
func readCheck(r *annotationReader, d config.Defaults, sec secure, b *haproxy.Backend) {
	path := ""
	if !sec.passthrough {
		path = optional(r, keyCheckPath, parseCheckPath).or("")
	}
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

// readProtocol parses the protocol between HAProxy and the pods of a port.
func readProtocol(r *annotationReader, mode haproxy.Mode, sec secure) haproxy.Protocol {
	parse := parseProtocol
	plainPods := mode == haproxy.HTTP && r.in.Compatibility.ServiceLoadbalancer // as in service-loadbalancer
	fallback, understood := appProtocol(r.port)
	switch {
	case sec.bridge:
		fallback, understood = protocolHTTPS, true
	case !understood:
		fallback = defaultProtocol(r.port, sec.sslTerm && !plainPods)
	}
	if mode == haproxy.TCP {
		parse = func(value string) (protocol, error) {
			p, err := parseOneOf(protocolTCP, protocolHTTPS)(value)
			if err != nil {
				err = fmt.Errorf("%s is not tcp or https, the protocols of a TCP port", quote(value))
			}
			return p, err
		}
		if !sec.sslTerm || fallback != protocolHTTPS {
			fallback = protocolTCP // without sslTerm a TLS client does the handshake with the pod
		}
	}
	given := optional(r, keyBackendProtocol, parse)
	switch {
	case given.valid():
		r.protocolFrom = " (backend-protocol)"
	case mode == haproxy.TCP && !sec.sslTerm:
	case sec.bridge:
		r.protocolFrom = " (sslBridge)"
	case understood:
		r.protocolFrom = " (appProtocol)"
	case sec.sslTerm && plainPods:
		r.protocolFrom = " (service_loadbalancer)"
	case sec.sslTerm:
		r.protocolFrom = " (target port " + plain(cmp.Or(r.port.TargetPort, portNumber(r.port))) + ")"
	}
	if mode == haproxy.HTTP && !given.valid() && !understood && r.port.AppProtocol != "" {
		r.reportPort(Unsupported, annotation{}, "appProtocol %s is unknown; the protocol to the pods is %s (set the annotation %s)",
			quote(r.port.AppProtocol), fallback, Prefix+string(keyBackendProtocol))
	}
	switch given.or(fallback) {
	case protocolHTTPS:
		return haproxy.TLS
	case protocolH2:
		return haproxy.H2
	case protocolH2C:
		return haproxy.H2C
	}
	return haproxy.Plain
}

// parseProtocol accepts the protocols of an HTTP port. Its error for tcp names the
// annotation that makes a TCP port.
func parseProtocol(value string) (protocol, error) {
	p, err := parseOneOf(protocolHTTP, protocolHTTPS, protocolH2, protocolH2C, protocolTCP)(value)
	if p == protocolTCP {
		return "", errors.New(`"tcp" requires the annotation ` + Prefix + "tcp, which sets the port to listen on")
	}
	return p, err
}

// appProtocol returns the protocol of the port's appProtocol in any case: an IANA name, one
// of KEP-3726 (Kubernetes API, ServicePort), or one of Istio ("Protocol Selection"). It
// reports false for a port without one, and for an unknown one.
func appProtocol(p kubeapi.ServicePort) (protocol, bool) {
	switch strings.ToLower(p.AppProtocol) {
	case "http", "ws", "kubernetes.io/ws", "grpc-web":
		return protocolHTTP, true
	case "https", "wss", "kubernetes.io/wss", "tls":
		return protocolHTTPS, true
	case "h2", "grpcs":
		return protocolH2, true
	case "h2c", "kubernetes.io/h2c", "http2", "grpc":
		return protocolH2C, true
	}
	return "", false
}

// defaultProtocol is that of a port without a known appProtocol.
func defaultProtocol(p kubeapi.ServicePort, sslTerm bool) protocol {
	if sslTerm && targetsHTTPS(p) {
		return protocolHTTPS
	}
	return protocolHTTP
}

// targetsHTTPS reports whether the port of the pods is likely one of HTTPS, by its number
// or its name. The Service's own port does not count if the pods have another one: with
// sslTerm, a Service of port 443 often has pods that speak plain HTTP.
func targetsHTTPS(p kubeapi.ServicePort) bool {
	const synapse = "8243" // registered for HTTPS (IANA, "synapse-nhttps")
	target := cmp.Or(p.TargetPort, portNumber(p))
	return strings.HasSuffix(target, "https") || strings.HasSuffix(target, "443") || target == synapse ||
		target == portNumber(p) && strings.HasSuffix(p.Name, "https")
}
