// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/admin"
)

// explain is what podgate explain prints, with what differs from run to run
// named.
func (tw *town) explain(of string, names *strings.Replacer) (string, error) {
	x, err := admin.NewClient(tw.socket).Explain(tw.t.Context(), of)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	x.Print(&text, admin.Style{})
	said := names.Replace(text.String())
	for _, r := range []struct{ pattern, name string }{
		{`is older|comes first by name`, "WINS"}, {`for \d\w+`, "for TIME"}, {`at \d+`, "at VERSION"}, {`version \d+`, "version VERSION"}, {`created [^,]*`, "created TIME"}, {` {2,}`, "  "}, {`-[0-9a-f]{8}\b`, "-HASH"}, {`id \d+`, "id ID"},
	} {
		said = regexp.MustCompile(r.pattern).ReplaceAllString(said, r.name)
	}
	return said, nil
}

func TestExplainTellsAServiceWhole(t *testing.T) {
	tw := newTown(t)
	tw.hurry = true
	alive, dead, drained := newPod(t, "alive"), newPod(t, "dead"), newPod(t, "drained")
	tw.service("cart", map[string]string{"host": "shop.example.com", "path": "/cart,/basket", "rewrite": "true", "check-interval": "100ms", "algorithm": "fastest"}, alive, dead)
	tw.service("late", map[string]string{"host": "shop.example.com", "path": "/cart/late,/cart"}, drained)
	tw.start()
	tw.awaitAnswer("shop.example.com", "/basket/", "200 alive /")
	dead.server.Close()
	names := strings.NewReplacer("ECONNREFUSED returned by OS (Connection refused)", "REFUSED", "Connection refused", "REFUSED", // 3.4, and before
		alive.addr.String(), "ALIVE", dead.addr.String(), "DEAD", drained.addr.String(), "DRAINED", tw.haproxy.Folder, "FOLDER", tw.http.String(), "EDGE")
	var got string
	eventually(t, "HAProxy finds the server down", func() (err error) {
		got, err = tw.explain("cart", names)
		if err == nil && !strings.Contains(got, "DOWN") {
			err = fmt.Errorf("%s", got)
		}
		return err
	})
	for _, want := range []string{
		"  resource version VERSION, ",
		`annotation serviceloadbalancer/lb.algorithm: "fastest" is not one of`,
		"Port web (80)\n  backend  shop_cart_80\n  uses  roundrobin, TCP check every 100ms\n  reached  shop.example.com/basket  (/basket is taken away)\n  shop.example.com/cart  (/cart is taken away)\n",
		"  ALIVE  ready  UP L4OK, for TIME  0  slice cart-alive at VERSION\n",
		"  DEAD  ready  DOWN L4CON REFUSED, for TIME  0  slice cart-dead at VERSION\n",
		"  serviceloadbalancer/lb.path: \"/cart,/basket\"\n  understood as /cart, /basket, for port web\n",
		"Conflicts\n  route shop.example.com/cart: shop/cart port web has it, which WINS; shop/late port web does not\n",
		"Service shop/cart: served by 1 of 2 servers, the others fail their health checks\n",
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
		{"http://shop.example.com/cart/late/x?y=1", "goes to Service shop/late port web, backend shop_late_80\n  frontend  podgate_http on EDGE\n  the pod sees the path /cart/late/x\n  HAProxy  finds routes.map: shop.example.com/cart/late/ shop_late_80|20010\n\nRoutes that fit\n  shop.example.com/cart/late  Service shop/late port web  is taken\n  shop.example.com/cart  Service shop/cart port web  loses: a longer path goes before a shorter one\n"},
		{"Shop.Example.com:80/basket", "goes to Service shop/cart port web, backend shop_cart_80\n  frontend  podgate_http on EDGE\n  the pod sees the path /\n  HAProxy  finds routes.map: shop.example.com/basket/ shop_cart_80|20007|/basket\n"},
		{"http://other.example.com/cart", "no route matches: HAProxy answers 404\n  frontend  podgate_http on EDGE\n  HAProxy  finds no route either\n\nPerhaps\n  shop.example.com/cart leads to Service shop/cart port web\n"},
		{"https://shop.example.com/cart", "podgate has no frontend for https\n"},
		{alive.addr.String(), "Service shop/cart port web (80)\n  backend  shop_cart_80\n"},
		{"tcp://edge.example.com:5432", "no TCP frontend listens on port 5432\n"},
	} {
		if got, err := tw.explain(row.of, names); err != nil || !strings.Contains(got, row.want) {
			t.Errorf("%s: %v\n%s", row.of, err, cmp.Diff(row.want, got))
		}
	}
	for of, want := range map[string]string{
		"shop/crat":   "no Service shop/crat (podgate follows namespaces shop; did you mean cart?)",
		"other/cart":  "no Service other/cart (namespace other is not among kubernetes.namespaces in podgate.toml: shop)",
		"10.9.9.9":    "no Service has a server at 10.9.9.9",
		"ftp://a.b/c": `"ftp://a.b/c": podgate serves http, https and tcp`,
	} {
		if _, err := tw.explain(of, names); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", of, err, want)
		}
	}
}

// TestExplainAgreesWithHAProxy asks both where the requests of
// TestRoutesAreChosenAsPromised go.
func TestExplainAgreesWithHAProxy(t *testing.T) {
	tw := newTown(t)
	for name, annotations := range map[string]map[string]string{
		"byhost": {"host": "shop.example.com"}, "bypath": {"host": "shop.example.com", "path": "/api,/v1/api"},
		"wild": {"host": "*.example.com"}, "wildpath": {"host": "*.example.com", "path": "/only"}, "folded": {"aclMatch": "-i /Old"},
		"foldhost": {"host": "shop.example.com", "aclMatch": "-i /API/Deep", "rewrite": "/new"}, "replaced": {"path": "/was", "rewrite": "/is"}, "plain": nil,
	} {
		tw.service(name, annotations, newPod(t, name))
	}
	tw.start()
	tw.awaitAnswer("any", "/plain/", "200 plain /")
	client := admin.NewClient(tw.socket)
	eventually(t, "podgate is in step", func() error {
		s, err := client.Status(t.Context(), 0)
		if err == nil && !s.InStep {
			err = fmt.Errorf("%v", s.Reasons)
		}
		return err
	})
	for _, of := range []string{
		"shop.example.com/x", "shop.example.com/api/x", "shop.example.com/apiary", "shop.example.com/v1/api", "shop.example.com/API/deep/x", "shop.example.com/api/deep",
		"other.example.com/", "other.example.com/only/this", "a.b.example.com/", "any.test/oLd/Path", "any.test/was/x", "any.test/plain//x", "any.test/none",
	} {
		x, err := client.Explain(t.Context(), "http://"+of)
		if err != nil {
			t.Fatal(err)
		}
		host, path, _ := strings.Cut(of, "/")
		_, body, err := tw.get(host, "/"+path)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimPrefix(x.URL.Service, "shop/") + " " + x.URL.Path
		if len(x.URL.Matches) == 0 {
			want = strings.TrimPrefix(notFound, "404 ")
		}
		if body != want {
			t.Errorf("%s: HAProxy answers %q, explain says %q", of, body, want)
		}
		if !strings.HasPrefix(x.URL.HAProxy, "finds ") {
			t.Errorf("%s: HAProxy %s", of, x.URL.HAProxy)
		}
	}
}

func TestWhatHappenedIsRemembered(t *testing.T) {
	tw := newTown(t)
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	tw.endpoints("cart", newPod(t, "cart-1"))
	tw.awaitAnswer("any", "/cart/", "200 cart-1 /")
	why := tw.reloading("pay", newPod(t, "pay-0"))
	tw.awaitAnswer("any", "/pay/", "200 pay-0 /")
	client := admin.NewClient(tw.socket)
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
	tw.stop()
	tw.start()
	find("shop/pay", "new Service", admin.ByReload)
	tw.stop()
	if text, err := os.ReadFile(tw.history()); err != nil || strings.Count(string(text), "podgate test started") != 2 {
		t.Errorf("%v\n%s", err, text)
	}
}
