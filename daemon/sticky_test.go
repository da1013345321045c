// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/daemon/edgetest"
)

// browser is a client of the edge for every host: it connects to the ports that podgate
// listens on, keeps cookies as browsers do, and knows nothing of podgate.
type browser struct {
	http.Client
	names map[string]*http.Cookie // that were set, by name
}

// Cookies and SetCookies keep cookies as RFC 6265bis section 5.7: a response by plain HTTP
// sets no cookie that is Secure, and replaces none.
type strictJar struct {
	*cookiejar.Jar
	set map[string]*http.Cookie // by host and name
}

func (j strictJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		key := u.Hostname() + " " + c.Name
		if u.Scheme != "https" && (c.Secure || j.set[key] != nil && j.set[key].Secure) {
			continue
		}
		j.set[key] = c
		j.Jar.SetCookies(u, []*http.Cookie{c})
	}
}

func newBrowser(t *testing.T, plain, secure netip.AddrPort) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	set := map[string]*http.Cookie{}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		to := plain
		if strings.HasSuffix(addr, ":443") {
			to = secure
		}
		return new(net.Dialer).DialContext(ctx, network, to.String())
	}
	transport := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{http.Client{Timeout: 10 * time.Second, Transport: transport, Jar: strictJar{jar, set}}, set}
}

// pod requests a URL, and returns the name of the pod that answered.
func (b *browser) pod(t *testing.T, url string) string {
	t.Helper()
	resp, err := b.Get(url)
	must(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, resp.Status)
	}
	return resp.Header.Get(edgetest.PodHeader)
}

// checkKeep requests each URL in turn, and checks that each keeps its pod.
func (b *browser) checkKeep(t *testing.T, urls ...string) {
	t.Helper()
	pods := map[string][]string{}
	for range 8 {
		for _, u := range urls {
			if p := b.pod(t, u); !slices.Contains(pods[u], p) {
				pods[u] = append(pods[u], p)
			}
		}
	}
	for _, u := range urls {
		if len(pods[u]) != 1 {
			t.Errorf("%s: a client with cookies reached %v", u, pods[u])
		}
	}
}

// pair starts two pods of a Service.
func pair(t *testing.T, service string) []*edgetest.Pod {
	t.Helper()
	return []*edgetest.Pod{newPod(t, service+"-0"), newPod(t, service+"-1")}
}

// TestStickyServicesKeepTheirPods has several sticky Services: by name, by host, and by
// http and https of one host.
func TestStickyServicesKeepTheirPods(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "all.pem", "*.test")
	for name, more := range map[string]map[string]string{
		"store":     nil,
		"publisher": nil,
		"plain":     {"host": "shop.test"},
		"secure":    {"host": "shop.test", "sslTerm": "true"},
		"below":     {"host": "shop.test", "path": "/below"},
		"named":     {"host": "shop.test", "path": "/named", "sslTerm": "true", "cookie-name": "NAMED.cookie"},
	} {
		own := map[string]string{"cookie-sticky-session": "true"}
		maps.Copy(own, more)
		e.service(t, name, own, pair(t, name)...)
	}
	e.start(t)
	e.awaitAnswer(t, "any", "/store/", "200 store-0 /")
	e.awaitHost(t, "shop.test")
	urls := []string{
		"http://any.test/store/", "http://any.test/publisher/", "http://shop.test/", "https://shop.test/", "http://shop.test/below", "https://shop.test/named",
	}
	b := newBrowser(t, e.HTTP, e.https)
	b.checkKeep(t, urls...)
	if c := b.names["shop.test NAMED.cookie"]; c == nil || !c.Secure || !c.HttpOnly || c.Path != "/" {
		t.Errorf("the cookie NAMED.cookie is %v", c)
	}
	secure := 0
	for key, c := range b.names {
		if !c.HttpOnly {
			t.Errorf("cookie %s is not HttpOnly", key)
		}
		if c.Secure {
			secure++
		}
	}
	if len(b.names) != len(urls) || secure != 2 {
		t.Errorf("%d cookies for %d backends, %d of them Secure", len(b.names), len(urls), secure)
	}

	before := e.HAProxy.Pid()
	e.service(t, "late", map[string]string{"cookie-sticky-session": "true"}, pair(t, "late")...)
	e.awaitAnswer(t, "any", "/late/", "200 late-0 /")
	e.checkPid(t, before)
	b.checkKeep(t, append(urls, "http://any.test/late/")...)

	// A new name needs no reload.
	before = e.HAProxy.Pid()
	e.service(t, "late", map[string]string{"cookie-sticky-session": "true", "cookie-name": "late"}, e.pods["late"]...)
	eventually(t, "the cookie late", func() error {
		if b := newBrowser(t, e.HTTP, e.https); b.pod(t, "http://any.test/late/") == "" || b.names["any.test late"] == nil {
			return fmt.Errorf("cookies %v", b.names)
		}
		return nil
	})
	e.checkPid(t, before)
	b.checkKeep(t, append(urls, "http://any.test/late/")...)
}

// TestCookieHeadersReachPods sends Cookie headers in many forms: the cookie of the Service
// selects the pod, which gets all other cookies as the client sent them.
func TestCookieHeadersReachPods(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	var pods []*edgetest.Pod
	for n := range 2 {
		pods = append(pods, newPodOf(t, edgetest.PodOptions{Name: fmt.Sprintf("cart-%d", n), Configure: func(s *http.Server) {
			pod := s.Handler
			s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Got", strings.Join(r.Header["Cookie"], " / "))
				http.SetCookie(w, &http.Cookie{Name: "app", Value: "x"})
				pod.ServeHTTP(w, r)
			})
		}}))
	}
	e.service(t, "cart", map[string]string{"cookie-sticky-session": "true"}, pods...)
	e.start(t)
	e.awaitServers(t, "shop_cart_80", pods...)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")

	values, name := map[string]string{}, ""
	for range 8 { // without a cookie, pods take turns
		resp := e.askCart(t)
		for _, c := range resp.Cookies() {
			if c.Name != "app" {
				name, values[resp.Header.Get(edgetest.PodHeader)] = c.Name, c.Value
			}
		}
	}
	if len(values) != 2 || !strings.HasPrefix(name, "SERVERID-") {
		t.Fatalf("cookie %q has the values %v", name, values)
	}
	own, other := name+"="+values["cart-0"], name+"="+values["cart-1"]
	old, oldOther := "SERVERID="+values["cart-0"], "SERVERID="+values["cart-1"] // of podgate 0.1.0
	for _, row := range []struct {
		name    string
		cookies []string
		pod     string // "" for either
		want    string // what the pod gets
		news    bool   // the client gets a cookie
	}{
		{"the only cookie", []string{own}, "cart-0", "", false},
		{"the first cookie", []string{own + "; a=1; b=2"}, "cart-0", "a=1; b=2", false},
		{"the last cookie", []string{"a=1; b=2; " + own}, "cart-0", "a=1; b=2", false},
		{"a cookie in the middle", []string{"a=1; " + own + "; b=2"}, "cart-0", "a=1; b=2", false},
		{"no blanks", []string{"a=1;" + own + ";b=2"}, "cart-0", "a=1;b=2", false},
		{"a delimiter at the end", []string{"a=1; " + own + ";"}, "cart-0", "a=1;", false},
		{"only a delimiter after it", []string{own + ";"}, "cart-0", "", false},
		{"several headers", []string{"a=1", "b=2; " + own, "c=3"}, "cart-0", "a=1 / b=2 / c=3", false},
		{"a header of its own", []string{"a=1", own}, "cart-0", "a=1", false},
		{"no cookie of the Service", []string{"a=1; b=2"}, "", "a=1; b=2", true},
		{"values with marks", []string{`a="x|y"; b=|; c==`}, "", `a="x|y"; b=|; c==`, true},
		{"marks and the cookie", []string{`a="x|y"; b=|; ` + own}, "cart-0", `a="x|y"; b=|`, false},
		{"a header that looks like podgate's own", []string{name + "|" + own}, "", name + "|" + own, true},
		{"no value", []string{"a=1; " + name}, "", "a=1; " + name, true},
		{"an empty value", []string{"a=1; " + name + "="}, "", "a=1", true},
		{"a value of no pod", []string{"a=1; " + name + "=nonsense"}, "", "a=1", true},
		{"a longer name", []string{"x" + own + "; " + name + "x=1"}, "", "x" + own + "; " + name + "x=1", true},
		{"the cookie of another Service", []string{"SERVERID-0123456789ab=" + values["cart-0"]}, "", "SERVERID-0123456789ab=" + values["cart-0"], true},
		{"a cookie of podgate 0.1.0", []string{"a=1; " + oldOther}, "cart-1", "a=1", false},
		{"a cookie of podgate 0.1.0 for another Service", []string{"a=1; SERVERID=nonsense"}, "", "a=1", true},
		{"both, and the new one decides", []string{oldOther + "; " + own}, "cart-0", "", false},
		{"both, the new one first", []string{own + "; a=1; " + oldOther}, "cart-0", "a=1", false},
		{"both, and no pod has the new value", []string{old + "; " + name + "=nonsense"}, "cart-0", "", false},
		{"8 kB of cookies", []string{strings.Repeat("a=12345; ", 900) + own}, "cart-0", strings.TrimSuffix(strings.Repeat("a=12345; ", 900), "; "), false},
		{"8 kB of delimiters", []string{strings.Repeat("; ", 4000) + "a=1; " + other}, "cart-1", strings.Repeat("; ", 4000) + "a=1", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp := e.askCart(t, row.cookies...)
			if pod := resp.Header.Get(edgetest.PodHeader); resp.StatusCode != 200 || row.pod != "" && pod != row.pod {
				t.Errorf("got %s of pod %q, want pod %q", resp.Status, pod, row.pod)
			}
			if got := resp.Header.Get("Got"); got != row.want {
				t.Errorf("the pod got %q, want %q", got, row.want)
			}
			set := map[string]bool{}
			for _, c := range resp.Cookies() {
				set[c.Name] = true
			}
			if !set["app"] || set[name] != row.news || len(set) > 2 {
				t.Errorf("the client got the cookies %v", resp.Header["Set-Cookie"])
			}
		})
	}
}

// askCart requests /cart/ with these Cookie headers.
func (e *edge) askCart(t *testing.T, cookies ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.HTTP.String()+"/cart/", nil)
	must(t, err)
	req.Header["Cookie"] = cookies
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	must(t, err)
	resp.Body.Close()
	return resp
}
