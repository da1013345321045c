// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"
	"strings"
)

// Keys of forks of service-loadbalancer. packaging/doc/migrating.md lists them, and the
// manual does not: new Services should have podgate's own keys.
const (
	keyEnabled   key = "enabled"   // ignore, with the opposite value (WSO2)
	keySSLBridge key = "sslBridge" // sslTerm with backend-protocol https (WSO2)
	keySSLProxy  key = "sslProxy"  // an older name of sslBridge
	keyHostname  key = "hostname"  // host
	keySSLCert   key = "ssl_cert"  // tls-secret
)

// forkKeys lists the keys of forks that have an effect.
func forkKeys() []key {
	return []key{keyEnabled, keySSLBridge, keySSLProxy, keyHostname, keySSLCert}
}

// canonical returns the key that has the same effect.
func (k key) canonical() key {
	switch k {
	case keySSLProxy:
		return keySSLBridge
	case keyHostname:
		return keyHost
	case keySSLCert:
		return keyTLSSecret
	}
	return k
}

// granted returns the annotations that podgate.toml has to grant for the key.
func (k key) granted() []string {
	switch k {
	case keyIgnore, keyEnabled:
		return nil
	case keySSLBridge:
		return []string{string(keySSLTerm), string(keyBackendProtocol)}
	}
	return []string{string(k)}
}

// refused returns what to write instead of a key of a fork that podgate does not support,
// and the key without which a port must then not be served, because the annotation limits
// how it is reached: "" for none, keyNode for every port. It reports false for any other
// key.
func (k key) refused(value string) (instead string, lost key, refused bool) {
	on, err := parseBool(value)
	write := func(k key, value string) string { return fmt.Sprintf("write %s%s: %q instead", Prefix, k, value) }
	switch k { // refusedKeys of the tests has all of them
	case "http": // boxlinker: "host:port"
		instead, lost = "write the name of the host to "+Prefix+"host.PORT instead", keyHost
		if host, port, ok := strings.Cut(value, ":"); ok && len(value) <= maxShown && plain(port) == port {
			instead = write(keyHost+"."+key(port), host)
		}
	case keyNode:
		instead, lost = "label the Services of each edge node and set kubernetes.selector in podgate.toml instead", keyNode
	case "frontendHttp", "frontendHttps":
		if err == nil && on == (k == "frontendHttp") {
			instead = write(keySSLTerm, "false")
		} else {
			instead, lost = write(keySSLTerm, "true"), keySSLTerm
		}
	case "redirectWWW":
		instead = "write both names to " + Prefix + string(keyHost) + ", and redirect the clients in the pods"
	case "url-param-sticky-session", "stick-table-params":
		instead = "write " + Prefix + string(keyCookie) + " or sessionAffinity: ClientIP instead"
	default:
		return "", "", false
	}
	return instead, lost, true
}

// keyNode selects an edge node in a fork of service-loadbalancer.
const keyNode key = "node"

// add adds an annotation. If there is another one with the same effect, it keeps that
// with the name of podgate, else the first by name, and returns a Problem of the other.
func (all annotations) add(a annotation, report func(written, text string)) {
	s := slot{a.key, a.suffix}
	has, twice := all[s]
	if !twice {
		all[s] = a
		return
	}
	own := func(a annotation) bool { return a.named == a.key }
	if own(a) || !own(has) && a.written < has.written {
		a, has = has, a
	}
	all[s] = has
	report(a.written, "is ignored because the Service also has "+plain(has.written))
}

// isFork reports whether the key is one of a fork that has an effect.
func (k key) isFork() bool { return slices.Contains(forkKeys(), k) }
