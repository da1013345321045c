// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"podgate/daemon/config"
	"podgate/kubeapi"
)

// effectiveValues has values of each key that differ from its default.
func effectiveValues() map[key][]string {
	return map[key][]string{
		keyIgnore: {"true"}, keyHost: {"b.example.com"}, keyPath: {"/p"}, keyACLMatch: {"/q"}, keyRewrite: {"true", "/r"},
		keySSLTerm: {"true"}, keyBackendProtocol: {"https", "h2", "h2c"}, keyBackendVerify: {"internal"}, keyCookie: {"true"}, keyCookieName: {"X"},
		keyAlgorithm: {"first"}, keyBackendName: {"named"}, keyTCP: {"5000"}, keyUpstream: {"clusterip"}, keyCheck: {"true", "false"},
		keyCheckPath: {"/check"}, keyCheckInterval: {"7s"}, keyTimeoutServer: {"8s"}, keyTimeoutTunnel: {"9s"}, keyTimeoutConnect: {"10s"},
		keyMaxConn: {"11"}, keySlowStart: {"12s"}, keyAllowSource: {"192.0.2.1"}, keyRedirectHTTPS: {"true"}, keyHSTS: {"13"},
		keySendProxy: {"v2"}, keyPassthrough: {"true"}, keyTLSSecret: {"secret"}, keyEnabled: {"false"}, keySSLBridge: {"true"},
	}
}

// TestNoAnnotationIsIgnoredSilently adds an annotation to a Service with others: if that
// changes nothing, there must be a Problem of the annotation.
func TestNoAnnotationIsIgnoredSilently(t *testing.T) {
	for _, k := range append(keys(), keyEnabled, keySSLBridge) {
		if len(effectiveValues()[k]) == 0 {
			t.Errorf("there is no value of %s", k)
		}
	}
	reached := []string{"", "host=a.example.com", "host.web=a.example.com", "path=/a", "path=/,/a", "host=a.example.com path=/a", "tcp=5001"}
	secured := []string{"", "sslTerm=true", "passthrough=true", "sslTerm=true passthrough=true"}
	more := []string{
		"", "backend-protocol=https", "backend-protocol=h2c", "check=false", "check=true", "check-path=/", "check=false check-path=/",
		"timeout-tunnel=1h", "timeout-server.web=1h", "cookie-sticky-session=true", "algorithm=source", "upstream=nodeport",
	}
	plain := testConfig()
	silent(t, plain, reached, secured, more)
	for _, change := range []func(*config.Config){
		func(c *config.Config) { c.Defaults.Check = !c.Defaults.Check },
		func(c *config.Config) { c.HTTP.Binds = nil },
		func(c *config.Config) { c.Compatibility.ServiceLoadbalancer = true },
	} {
		cfg := testConfig()
		change(cfg)
		silent(t, cfg, reached, secured, []string{"", "backend-protocol=https"})
	}
}

// silent finds annotations without effect and Problem, for each combination of elements of
// the lists.
func silent(t *testing.T, cfg *config.Config, lists ...[]string) {
	t.Helper()
	bases := []string{""}
	for _, list := range lists {
		var longer []string
		for _, base := range bases {
			for _, words := range list {
				longer = append(longer, strings.TrimSpace(base+" "+words))
			}
		}
		bases = longer
	}
	for _, words := range bases {
		base := map[string]string{}
		for word := range strings.FieldsSeq(words) {
			name, value, _ := strings.Cut(word, "=")
			base[Prefix+name] = value
		}
		without := compileOne(cfg, base)
		for k, values := range effectiveValues() {
			for _, value := range values {
				for _, written := range []string{Prefix + string(k), Prefix + string(k) + ".web"} {
					checked := k == keyCheck && strings.Contains(without.State.String(), "check=") == (value == "true")
					rewritten := k == keyRewrite && strings.Contains(without.State.String(), "rewrite=/"+strings.TrimPrefix(value, "true"))
					if base[written] != "" || base[Prefix+string(k)] == value || checked || rewritten {
						continue // it is what the Service has
					}
					annotations := maps.Clone(base)
					annotations[written] = value
					with := compileOne(cfg, annotations)
					changed := without.State.String() != with.State.String() || !slices.Equal(without.SecretKeys(), with.SecretKeys())
					served := without.State.Backends.Len()+with.State.Backends.Len() > 0
					reported := slices.ContainsFunc(with.Problems, func(p Problem) bool { return p.Key == written })
					if served && !changed && !reported {
						t.Errorf("%q: %s=%s has no effect and no Problem", words, written, value)
					}
				}
			}
		}
	}
}

func compileOne(cfg *config.Config, annotations map[string]string) *Result {
	svc := exposed("web", 1)
	svc.Ports = []kubeapi.ServicePort{{Name: "web", Port: 80, NodePort: 30080}}
	svc.ClusterIP, svc.Annotations = "10.96.0.1", annotations
	m := &Machine{Files: &TLSFiles{BackendCAs: map[string]string{"internal": "/etc/ca.pem"}}}
	pods := kubeapi.SliceIndex{}.With(map[kubeapi.Key][]*kubeapi.EndpointSlice{svc.Key: {{
		Key: kubeapi.Key{Namespace: svc.Namespace, Name: "web-1"}, Service: svc.Name, AddressType: "IPv4",
		Ports:     []kubeapi.EndpointPort{{Name: "web", Port: 8080}},
		Endpoints: []kubeapi.Endpoint{{Addr: netip.MustParseAddr("10.0.0.1"), Ready: true, Serving: true}},
	}}})
	return Compile(cfg, m, &kubeapi.Snapshot{Services: []*kubeapi.Service{svc}, Slices: pods}, nil)
}
