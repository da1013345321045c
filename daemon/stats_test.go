// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"podgate/haproxy"
)

func TestHAProxyServesItsStatisticsOnRequest(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	addr := e.freeAddr(t)
	e.serveCart(t)
	if _, err := http.Get("http://" + addr.String() + "/"); err == nil {
		t.Error("HAProxy serves its statistics by default")
	}
	e.configure(t, fmt.Sprintf("[stats]\nbind = [%q]\n", addr))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path, want string) error {
		resp, err := client.Get("http://" + addr.String() + path)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err == nil && (resp.StatusCode != http.StatusOK || !strings.Contains(string(text), want)) {
			err = fmt.Errorf("%s without %q", resp.Status, want)
		}
		return err
	}
	eventually(t, "the statistics page", func() error { return get("/", "shop_cart_80") })
	must(t, get("/metrics", `haproxy_backend_status{proxy="shop_cart_80"`))
	must(t, get("/;csv", "shop_cart_80"))

	// The page cannot change anything.
	pod := e.pods["cart"][0]
	form := fmt.Sprintf("s=%s&action=maint&b=shop_cart_80", haproxy.ServerName(pod.Addr))
	resp, err := client.Post("http://"+addr.String()+"/", "application/x-www-form-urlencoded", strings.NewReader(form))
	must(t, err)
	resp.Body.Close()
	e.awaitStates(t, "shop_cart_80", haproxy.Ready)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")

	e.configure(t, fmt.Sprintf("[stats]\nbind = [%q]\nmetrics = false\n", addr))
	eventually(t, "no metrics", func() error { return get("/metrics", "Statistics Report") })

	e.configure(t, fmt.Sprintf("[stats]\nbind = [%q]\nsources = [\"192.0.2.0/24\"]\n", addr))
	eventually(t, "no other sources", func() error {
		if err := get("/", "shop_cart_80"); err == nil {
			return fmt.Errorf("HAProxy answers")
		}
		return nil
	})
	e.configure(t, "")
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
}
