// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/admin"
	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
)

// explain returns the output of podgate explain, with names for the values that differ
// between runs.
func (e *edge) explain(t *testing.T, of string, names *strings.Replacer) (string, error) {
	x, err := admin.NewClient(e.Socket).Explain(t.Context(), admin.Query{Of: of})
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	x.Print(&text, admin.Style{})
	output := names.Replace(text.String())
	for _, r := range []struct{ pattern, name string }{
		{`is older|comes first by name`, "WINS"}, {`for \d\w+`, "for TIME"}, {`at \d+`, "at VERSION"}, {`version \d+`, "version VERSION"}, {`created [^,]*`, "created TIME"}, {` {2,}`, "  "}, {`-[0-9a-f]{8}\b`, "-HASH"}, {`id \d+`, "id ID"},
	} {
		output = regexp.MustCompile(r.pattern).ReplaceAllString(output, r.name)
	}
	return output, nil
}

func TestExplainOfAService(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.hurry = true
	alive, dead, drained := newPod(t, "alive"), newPod(t, "dead"), newPod(t, "drained")
	e.service(t, "cart", map[string]string{"host": "shop.example.com", "path": "/cart,/basket", "rewrite": "true", "check-interval": "100ms", "algorithm": "fastest"}, alive, dead)
	e.service(t, "late", map[string]string{"host": "shop.example.com", "path": "/cart/late,/cart"}, drained)
	e.start(t)
	e.awaitAnswer(t, "shop.example.com", "/basket/", "200 alive /")
	dead.Close()
	names := strings.NewReplacer("ECONNREFUSED returned by OS (Connection refused)", "REFUSED", "Connection refused", "REFUSED", // 3.4, and before
		alive.Addr.String(), "ALIVE", dead.Addr.String(), "DEAD", drained.Addr.String(), "DRAINED",
		edgetest.SliceOf("cart", alive.Addr.Port()).Name, "SLICE-ALIVE", edgetest.SliceOf("cart", dead.Addr.Port()).Name, "SLICE-DEAD", e.HAProxy.Folder, "FOLDER", e.HTTP.String(), "EDGE")
	var got string
	eventually(t, "HAProxy has checked both servers", func() (err error) {
		got, err = e.explain(t, "cart", names)
		if err == nil && !(strings.Contains(got, "DOWN") && strings.Contains(got, "UP L4OK")) {
			err = fmt.Errorf("%s", got)
		}
		return err
	})
	for _, want := range []string{
		"  resource version VERSION, ",
		`annotation serviceloadbalancer/lb.algorithm: "fastest" is not one of`,
		"Port web (80)\n  backend  shop_cart_80\n  settings  roundrobin, TCP check every 100ms\n  URL  shop.example.com/basket  (/basket is removed)\n  shop.example.com/cart  (/cart is removed)\n",
		"  ALIVE  ready  UP L4OK, for TIME  0  pod alive, slice SLICE-ALIVE at VERSION\n",
		"  DEAD  ready  DOWN L4CON REFUSED, for TIME  0  pod dead, slice SLICE-DEAD at VERSION\n",
		"  serviceloadbalancer/lb.path: \"/cart,/basket\"\n  understood as /cart, /basket, for port web\n",
		"Conflicts\n  route shop.example.com/cart: shop/cart port web has it, which WINS; shop/late port web does not\n",
		"Service shop/cart: served by 1 of 2 servers; the others fail their health checks\n",
		"  backend shop_cart_80 from podgate-http-roundrobin-HASH\n",
		"  routes.map: shop.example.com/basket/ shop_cart_80|20007|/basket\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if testing.Verbose() {
		t.Log(got)
	}
	for _, row := range []struct{ of, want string }{
		{"http://shop.example.com/cart/late/x?y=1", "is routed to Service shop/late port web, backend shop_late_80\n  frontend  podgate_http on EDGE\n  the pod sees the path /cart/late/x\n  HAProxy  finds routes.map: shop.example.com/cart/late/ shop_late_80|20010\n\nMatching routes\n  shop.example.com/cart/late  Service shop/late port web  used\n  shop.example.com/cart  Service shop/cart port web  not used: a longer path has priority\n"},
		{"Shop.Example.com:80/basket", "is routed to Service shop/cart port web, backend shop_cart_80\n  frontend  podgate_http on EDGE\n  the pod sees the path /\n  HAProxy  finds routes.map: shop.example.com/basket/ shop_cart_80|20007|/basket\n"},
		{"http://other.example.com/cart", "no route matches: HAProxy answers 404\n  frontend  podgate_http on EDGE\n  HAProxy  finds no route either\n\nSimilar\n  shop.example.com/cart leads to Service shop/cart port web\n"},
		{"https://shop.example.com/cart", "podgate has no frontend for https: https.bind in podgate.toml is empty\n"},
		{alive.Addr.String(), "Service shop/cart port web (80)\n  backend  shop_cart_80\n"},
		{"tcp://edge.example.com:5432", "no TCP frontend listens on port 5432\n"},
	} {
		if got, err := e.explain(t, row.of, names); err != nil || !strings.Contains(got, row.want) {
			t.Errorf("%s: %v\n%s", row.of, err, cmp.Diff(row.want, got))
		}
	}
	for of, want := range map[string]string{
		"shop/crat":   "no Service shop/crat (podgate follows namespaces shop; did you mean cart?)",
		"other/cart":  "no Service other/cart (namespace other is not in kubernetes.namespaces of podgate.toml: shop)",
		"10.9.9.9":    "no Service has a server at 10.9.9.9",
		"ftp://a.b/c": `"ftp://a.b/c": podgate serves http, https and tcp`,
	} {
		if _, err := e.explain(t, of, names); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", of, err, want)
		}
	}
}

// TestExplainOfTLS explains URLs whose requests end in the handshake, are passed through,
// redirected, and served.
func TestExplainOfTLS(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.setHTTPS(t, "redirect_port = 8443")
	e.certify(t, "shop.pem", "shop.test", "*.apps.test")
	e.service(t, "shop", map[string]string{"host": "shop.test,two.apps.test", "path": "/a", "rewrite": "true", "sslTerm": "true", "redirect-https": "true", "hsts": "31536000"}, newPod(t, "shop"))
	e.service(t, "vault", map[string]string{"host": "vault.test,*.vault.test", "passthrough": "true", "redirect-https": "true"}, newTLSPod(t, "vault"))
	e.service(t, "any", map[string]string{"path": "/any", "sslTerm": "true", "redirect-https": "true"}, newPod(t, "any"))
	e.service(t, "bare", map[string]string{"host": "bare.test", "sslTerm": "true"}, newPod(t, "bare"))
	e.start(t)
	e.awaitTLSAnswer(t, "shop.test", "/a/x", "200 shop /x")
	e.awaitTLSAnswer(t, "vault.test", "/", "200 vault /")
	e.awaitReloads(t)
	const ends = "  TLS  terminated here, TLSv1.2 and newer, h2 or http/1.1\n"
	const shows = "  presents  CERTIFICATES/shop.pem (ECDSA), for *.apps.test, shop.test, until TIME\n"
	const noDefault = ", and https.default_certificate in podgate.toml is empty\n  frontend  podgate_https on TLS\n" + ends + "  clients  need no certificate\n  HAProxy  "
	e.awaitExplain(t, map[string]string{
		"https://shop.test/a/x": " is routed to Service shop/shop port web, backend shop_shop_80\n  frontend  podgate_https on TLS\n" + ends + shows +
			"  clients  need no certificate\n  answers  have Strict-Transport-Security: max-age=31536000\n  the pod sees the path /x\n  HAProxy  finds routes-tls.map: shop.test/a/ shop_shop_80|20002|/a\n",
		"https://two.apps.test/b": " no route matches: HAProxy answers 404\n  frontend  podgate_https on TLS\n" + ends + shows + "  clients  need no certificate\n  HAProxy  finds no route either\n",
		"https://vault.test/any": " is passed through to Service shop/vault port web, backend shop_vault_80, whose pods terminate TLS\n  frontend  podgate_https on TLS\n" +
			"  TLS  passed through by the name vault.test; the pods present their own certificate\n  HAProxy  finds passthrough.map: vault.test shop_vault_80\n",
		"https://x.vault.test":     " is passed through to Service shop/vault port web, backend shop_vault_80, whose pods terminate TLS\n",
		"http://shop.test/a/x?q=1": " is redirected to https://shop.test:8443/a/x?q=1 (308) by redirect-https of Service shop/shop port web\n  frontend  podgate_http on EDGE\n  HAProxy  finds routes.map: shop.test/a/ !https:shop_shop_80|20002|/a\n",
		"vault.test":               " is redirected to https://vault.test:8443/ (308) by redirect-https of Service shop/vault port web\n",
		"http:///any":              " is to be redirected by redirect-https of Service shop/any port web, but has no host: HAProxy answers 400\n",
		"https://bare.test":        " is rejected in the TLS handshake: no certificate matches bare.test" + noDefault + "finds routes-tls.map: bare.test/ shop_bare_80|20000\n\nMatching routes\n",
		"https://127.0.0.1/":       " is rejected in the TLS handshake: the client sends no server name" + noDefault + "finds no route either\n",
		"shop/shop":                "  URL  shop.test/a  (redirected to https)\n  two.apps.test/a  (redirected to https)\n  https://shop.test/a  (/a is removed)\n",
	})
	// Another program has removed the certificate from HAProxy.
	e.command(t, "del ssl crt-list "+e.HAProxy.Folder+"/certificates.crtlist "+e.certificateFile(t, "shop-"))
	e.awaitExplain(t, map[string]string{"https://shop.test/a": shows + "  clients  need no certificate\n  answers  have Strict-Transport-Security: max-age=31536000\n  HAProxy  does not serve it yet\n"})
}

// TestExplainOfClientCertificates also has a default certificate and a TCP port with TLS.
func TestExplainOfClientCertificates(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	port := e.freeAddr(t)
	ca := filepath.Join(t.TempDir(), "clients.pem")
	crt, _ := split(haproxytest.Certificate(t, "known client"))
	must(t, os.WriteFile(ca, crt, 0o600))
	e.setHTTPS(t, fmt.Sprintf("client_ca = %q\nclient_certificate = \"required\"\ndefault_certificate = %q\n[tcp]\naddresses = [%q]\nallowed_ports = [%d]",
		ca, filepath.Join(e.folder, "shop.pem"), port.Addr(), port.Port()))
	e.certify(t, "shop.pem", "shop.test")
	e.service(t, "shop", map[string]string{"host": "shop.test,other.test", "sslTerm": "true"}, newPod(t, "shop"))
	e.service(t, "amqp", map[string]string{"tcp": fmt.Sprint(port.Port()), "sslTerm": "true"}, newPod(t, "amqp"))
	e.start(t)
	e.awaitCertificate(t, "shop.test", "shop.test")
	e.awaitReloads(t)
	const shows = "  presents  CERTIFICATES/shop.pem (ECDSA), for shop.test, until TIME"
	clients := "\n  clients  must present a certificate of " + ca + "\n"
	e.awaitExplain(t, map[string]string{
		"https://shop.test":                          shows + clients,
		"https://other.test":                         shows + "; the default certificate, because none matches other.test" + clients,
		"https://[::1]:443":                          shows + "; the default certificate, because the client sends no server name" + clients,
		"tcp://shop.test:" + fmt.Sprint(port.Port()): " is routed to Service shop/amqp port web, backend shop_amqp_80\n  frontend  podgate_tcp_PORT on TCP\n  TLS  terminated here, TLSv1.2 and newer\n" + shows + clients,
	})
}

// awaitExplain waits until the output of explain contains each text, by its argument.
func (e *tlsEdge) awaitExplain(t *testing.T, wants map[string]string) {
	t.Helper()
	names := strings.NewReplacer(e.folder, "CERTIFICATES", e.https.String(), "TLS", e.HTTP.String(), "EDGE")
	for of, want := range wants {
		eventually(t, "explain "+of, func() error {
			got, err := e.explain(t, of, names)
			got = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:]+Z`).ReplaceAllString(got, "TIME")
			got = regexp.MustCompile(`podgate_tcp_\d+ on \S+`).ReplaceAllString(got, "podgate_tcp_PORT on TCP")
			if err == nil && !strings.Contains(got, want) {
				err = fmt.Errorf("no %q in\n%s", want, got)
			}
			return err
		})
	}
}

// certificateFile returns the path of the one certificate whose name has the prefix.
func (e *tlsEdge) certificateFile(t *testing.T, prefix string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(e.HAProxy.Folder, "certificates", prefix+"*"))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	return paths[0]
}

func TestHistoryOutlivesPodgate(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.serveCart(t)
	e.endpoints(t, "cart", newPod(t, "cart-1"))
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /")
	why := e.serviceWithReload(t, "pay", newPod(t, "pay-0"))
	e.awaitAnswer(t, "any", "/pay/", "200 pay-0 /")
	client := admin.NewClient(e.Socket)
	find := func(service, what string, how admin.How) *admin.Change {
		var found *admin.Change
		eventually(t, what, func() error {
			h, err := client.History(t.Context())
			if err != nil {
				return err
			}
			for _, c := range h.Changes {
				if c.Service == service && strings.Contains(c.What, what) && c.How == how {
					found = c
					return nil
				}
			}
			return fmt.Errorf("history: %+v", h)
		})
		return found
	}
	in := find("shop/cart", "1 server in", admin.ByRuntime)
	if !strings.HasPrefix(in.Object, "EndpointSlice shop/cart-") || in.Version == "" || in.Waited <= 0 || in.Took <= 0 {
		t.Errorf("got %+v", in)
	}
	if added := find("shop/pay", "new Service", admin.ByReload); added.Object != "Service shop/pay" || added.Version == "" || added.Waited <= 0 {
		t.Errorf("got %+v", added)
	}
	if reload := find("", "HAProxy reloaded", admin.ByReload); reload.Why != why {
		t.Errorf("got %+v", reload)
	}
	e.stop(t)
	e.start(t)
	find("shop/pay", "new Service", admin.ByReload)
	e.stop(t)
	if text, err := os.ReadFile(e.History); err != nil || strings.Count(string(text), "podgate test started") != 2 {
		t.Errorf("%v\n%s", err, text)
	}
}
