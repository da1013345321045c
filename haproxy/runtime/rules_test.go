// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"podgate/haproxy"
)

// ruleBox is a HAProxy with Settings.Rules, with four backends of one server each.
type ruleBox struct {
	box
	listeners []netip.AddrPort // the last is no Listener of a Route
	pods      map[string]haproxy.Server
}

func newRuleBox(t *testing.T) ruleBox {
	t.Helper()
	b := ruleBox{box: newBox(t), pods: map[string]haproxy.Server{}}
	for range 3 {
		b.listeners = append(b.listeners, b.freeAddr(t))
	}
	for _, name := range []string{"b0", "b1", "b2", "b3"} {
		b.pods[name] = newMirror(t, name)
	}
	return b
}

// newMirror returns a server that answers with its name, the host and the path of
// the request, and the headers of the request that begin with "x-".
func newMirror(t *testing.T, name string) haproxy.Server {
	t.Helper()
	pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers := map[string][]string{}
		for key, values := range r.Header {
			headers[strings.ToLower(key)] = values
		}
		w.Header().Set("X-Own", name)
		path, _, _ := strings.Cut(r.RequestURI, "?")
		fmt.Fprintf(w, "%s %s %s%s", name, r.Host, path, headerText(headers))
	}))
	t.Cleanup(pod.Close)
	return haproxy.Server{Addr: pod.Listener.Addr().(*net.TCPAddr).AddrPort(), State: haproxy.Ready}
}

// state returns a State with these Routes.
func (b ruleBox) state(routes ...haproxy.Route) haproxy.State {
	s := haproxy.State{Settings: settings(), Frontends: []haproxy.Frontend{{Name: "podgate_http", Mode: haproxy.HTTP, Binds: b.listeners}}, Routes: routes}
	s.Settings.Rules = true
	slices.SortFunc(s.Routes, haproxy.Route.Compare)
	var backends []*haproxy.Backend
	for name, pod := range b.pods {
		backends = append(backends, &haproxy.Backend{
			Name: name, Policy: haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.RoundRobin},
			Options: haproxy.Options{Protocol: haproxy.Plain}, Servers: []haproxy.Server{pod},
		})
	}
	slices.SortFunc(backends, func(a, b *haproxy.Backend) int { return cmp.Compare(a.Name, b.Name) })
	s.Backends = haproxy.ListOf(backends...)
	return s
}

// send sends a request over a new connection, as it is, and returns the response.
func send(t *testing.T, r haproxy.Request) (*http.Response, string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", r.To.String(), 5*time.Second)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	target := cmp.Or(r.Path, "*")
	if r.Query != "" {
		target += "?" + r.Query
	}
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", cmp.Or(r.Method, "GET"), target, r.Host)
	for _, h := range r.Headers {
		text += h.Name + ": " + h.Value + "\r\n"
	}
	_, err = io.WriteString(conn, text+"\r\n")
	must(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.Method})
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return response, string(body)
}

// answer is the status, and the beginning of the body if a pod answered.
func answer(t *testing.T, r haproxy.Request) string {
	t.Helper()
	response, body := send(t, r)
	name, _, _ := strings.Cut(body, " ")
	switch location := response.Header.Get("Location"); {
	case location != "":
		return fmt.Sprintf("%d %s", response.StatusCode, location)
	case response.StatusCode == http.StatusOK && name != "":
		return name
	}
	return fmt.Sprint(response.StatusCode)
}

// TestRules sends requests to a HAProxy with one Route for each condition and action.
func TestRules(t *testing.T) {
	b := newRuleBox(t)
	at := b.listeners[2]
	header := func(name, value string) *haproxy.Conditions {
		return &haproxy.Conditions{Headers: []haproxy.ValueMatch{{Name: name, Value: value}}}
	}
	s := b.state(
		haproxy.Route{Host: "a.test", Backend: "b0"},
		haproxy.Route{Host: "a.test", Path: "/x", Exact: true, Backend: "b1"},
		haproxy.Route{Host: "a.test", Path: "/c", Conditions: header("x-v", "1"), Backend: "b2"},
		haproxy.Route{Host: "a.test", Path: "/c", Order: 1, Conditions: &haproxy.Conditions{Method: "POST"}, Backend: "b3"},
		haproxy.Route{Host: "**.zone.test", Backend: "b1"},
		haproxy.Route{Host: "only.zone.test", Path: "/c", Conditions: header("x-v", "1"), Backend: "b2"},
		haproxy.Route{Host: "a.test", Path: "/move", Actions: &haproxy.Actions{Location: &haproxy.Location{Scheme: "https", Code: 301}}},
		haproxy.Route{Host: "a.test", Path: "/see", Actions: &haproxy.Actions{Location: &haproxy.Location{Host: "o.test", Port: 8080, FullPath: "/n", Code: 303}}},
		haproxy.Route{Host: "a.test", Path: "/gone", Actions: &haproxy.Actions{Answer: 410}},
		haproxy.Route{Host: "a.test", Path: "/none", Actions: &haproxy.Actions{}},
		haproxy.Route{Host: "a.test", Path: "/w", Actions: &haproxy.Actions{Targets: []haproxy.Target{{Backend: "b1", Weight: 0}, {Backend: "b2", Weight: 5}}}},
		haproxy.Route{Host: "a.test", Path: "/bad", Actions: &haproxy.Actions{Targets: []haproxy.Target{{Weight: 5}}}},
		haproxy.Route{Listener: b.listeners[0], Backend: "b3"},
	)
	b.load(t, s)
	for _, row := range []struct {
		name string
		r    haproxy.Request
		want string
	}{
		{"a plain route", haproxy.Request{Host: "a.test", Path: "/y"}, "b0"},
		{"an exact path", haproxy.Request{Host: "a.test", Path: "/x"}, "b1"},
		{"below an exact path", haproxy.Request{Host: "a.test", Path: "/x/y"}, "b0"},
		{"a header", haproxy.Request{Host: "a.test", Path: "/c", Headers: []haproxy.Header{{Name: "X-V", Value: "1"}}}, "b2"},
		{"a method", haproxy.Request{Host: "a.test", Path: "/c", Method: "POST"}, "b3"},
		{"no condition is met", haproxy.Request{Host: "a.test", Path: "/c"}, "b0"},
		{"any number of labels", haproxy.Request{Host: "x.y.zone.test", Path: "/"}, "b1"},
		{"one label", haproxy.Request{Host: "x.zone.test", Path: "/"}, "b1"},
		{"the zone itself", haproxy.Request{Host: "zone.test", Path: "/"}, "404"},
		{"the next pattern", haproxy.Request{Host: "only.zone.test", Path: "/c"}, "b1"},
		{"not the next pattern", haproxy.Request{Host: "only.zone.test", Path: "/c", Headers: []haproxy.Header{{Name: "X-V", Value: "1"}}}, "b2"},
		{"a redirect", haproxy.Request{Host: "a.test", Path: "/move/a", Query: "q=1"}, "301 https://a.test/move/a?q=1"},
		{"a redirect to another host", haproxy.Request{Host: "a.test:88", Path: "/see"}, "303 http://o.test:8080/n"},
		{"a fixed answer", haproxy.Request{Host: "a.test", Path: "/gone"}, "410"},
		{"no backend", haproxy.Request{Host: "a.test", Path: "/none"}, "500"},
		{"a weight of zero", haproxy.Request{Host: "a.test", Path: "/w"}, "b2"},
		{"an invalid target", haproxy.Request{Host: "a.test", Path: "/bad"}, "500"},
		{"a listener", haproxy.Request{Host: "a.test", Path: "/x", To: b.listeners[0]}, "b3"},
		{"a host that no host is", haproxy.Request{Host: "|" + b.listeners[0].String() + "|a.test", Path: "/x"}, "400"},
	} {
		if row.r.To == (netip.AddrPort{}) {
			row.r.To = at
		}
		if got := answer(t, row.r); got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
}

// TestCORS sends requests of other origins.
func TestCORS(t *testing.T) {
	b := newRuleBox(t)
	cors := func(c haproxy.CORS) *haproxy.Actions { return &haproxy.Actions{CORS: &c} }
	s := b.state(
		haproxy.Route{Path: "/list", Backend: "b0", Actions: cors(haproxy.CORS{
			Origins: []string{"https://a.test", "https://*.b.test", "http://*.c.test:81"}, Methods: []string{"GET", "PUT"},
			Headers: []string{"X-A", "X-B"}, Expose: []string{"X-C"}, Credentials: true, MaxAge: time.Minute,
		})},
		haproxy.Route{Path: "/all", Backend: "b0", Actions: cors(haproxy.CORS{Origins: []string{"*"}, Methods: []string{"*"}, Headers: []string{"*"}, Expose: []string{"*"}})},
		haproxy.Route{Path: "/mine", Backend: "b0", Actions: cors(haproxy.CORS{Origins: []string{"*"}, Credentials: true})},
	)
	b.load(t, s)
	for _, row := range []struct{ name, path, method, origin, want string }{
		{"an origin of the list", "/list", "GET", "https://a.test", "200 origin=https://a.test credentials=true expose=X-C"},
		{"another origin", "/list", "GET", "https://x.test", "200"},
		{"no origin", "/list", "GET", "", "200"},
		{"a wildcard", "/list", "GET", "https://x.y.b.test", "200 origin=https://x.y.b.test credentials=true expose=X-C"},
		{"a wildcard with a port", "/list", "GET", "http://x.c.test:81", "200 origin=http://x.c.test:81 credentials=true expose=X-C"},
		{"a wildcard without a label", "/list", "GET", "https://b.test", "200"},
		{"a wildcard with another scheme", "/list", "GET", "http://x.b.test", "200"},
		{"two origins", "/list", "GET", "https://a.test,https://*.b.test", "200"},
		{"a delimiter", "/list", "GET", "https://a.test|,https://a.test,", "200"},
		{"preflight", "/list", "OPTIONS", "https://a.test", "204 origin=https://a.test credentials=true methods=GET,PUT headers=X-A,X-B age=60"},
		{"preflight of another origin", "/list", "OPTIONS", "https://x.test", "204"},
		{"every origin", "/all", "GET", "https://x.test", "200 origin=* expose=*"},
		{"preflight of every origin", "/all", "OPTIONS", "https://x.test", "204 origin=* methods=PATCH headers=X-Y"},
		{"every origin with credentials", "/mine", "GET", "https://x.test", "200 origin=https://x.test credentials=true"},
	} {
		r := haproxy.Request{To: b.listeners[0], Host: "a.test", Path: row.path, Method: row.method}
		if row.origin != "" {
			r.Headers = append(r.Headers, haproxy.Header{Name: "Origin", Value: row.origin})
		}
		if row.method == "OPTIONS" {
			r.Headers = append(r.Headers, haproxy.Header{Name: "Access-Control-Request-Method", Value: "PATCH"}, haproxy.Header{Name: "Access-Control-Request-Headers", Value: "X-Y"})
		}
		response, _ := send(t, r)
		got := fmt.Sprint(response.StatusCode)
		for _, h := range []struct{ name, header string }{
			{"origin", "Allow-Origin"}, {"credentials", "Allow-Credentials"}, {"expose", "Expose-Headers"}, {"methods", "Allow-Methods"}, {"headers", "Allow-Headers"}, {"age", "Max-Age"},
		} {
			if v := response.Header.Get("Access-Control-" + h.header); v != "" {
				got += " " + h.name + "=" + v
			}
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

// TestRequestsMeetEachRouteAsItWasOrWillBe sends requests while the Routes change: the
// number of the bucket, its conditions and the rule are new in each step.
func TestRequestsMeetEachRouteAsItWasOrWillBe(t *testing.T) {
	b := newRuleBox(t)
	routes := func(step int) []haproxy.Route {
		at := haproxy.Route{Host: "steady.test", Path: "/a"}
		first, second, last := at, at, at
		first.Conditions = &haproxy.Conditions{Headers: []haproxy.ValueMatch{{Name: "x-other", Value: fmt.Sprint(step)}}}
		first.Backend = "b3"
		second.Conditions = &haproxy.Conditions{Headers: []haproxy.ValueMatch{{Name: "x-h1", Value: "1"}}}
		second.Actions = &haproxy.Actions{
			Targets: []haproxy.Target{{Backend: "b0", Weight: step + 1}, {Backend: "b1", Weight: 1}},
			Request: haproxy.HeaderChanges{Set: []haproxy.Header{{Name: "x-h2", Value: fmt.Sprint(step)}}},
		}
		second.Order, last.Order = 1, 2
		last.Backend = []string{"b2", "b3"}[step%2]
		return []haproxy.Route{first, second, last}
	}
	loaded := b.state(routes(0)...)
	b.load(t, loaded)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	ask := func(valid func(body string) bool, headers ...haproxy.Header) {
		for ctx.Err() == nil {
			_, body := send(t, haproxy.Request{To: b.listeners[0], Host: "steady.test", Path: "/a/x", Headers: headers})
			if !valid(body) {
				t.Errorf("got %q with the headers %v", body, headers)
				return
			}
		}
	}
	wait.Go(func() {
		ask(func(body string) bool { return strings.HasPrefix(body, "b2 ") || strings.HasPrefix(body, "b3 ") })
	})
	wait.Go(func() {
		ask(func(body string) bool {
			return (strings.HasPrefix(body, "b0 ") || strings.HasPrefix(body, "b1 ")) && strings.Contains(body, "x-h2=")
		}, haproxy.Header{Name: "X-H1", Value: "1"})
	})
	for step := range 60 {
		b.reachRules(t, loaded, b.state(routes(step)...))
	}
	cancel()
	wait.Wait()
}

// TestDelimitersOfClientsChangeNoRoute sends what the program uses as delimiters, with
// the ID of a bucket that the client could know.
func TestDelimitersOfClientsChangeNoRoute(t *testing.T) {
	b := newRuleBox(t)
	secret := haproxy.Route{Host: "secret.test", Conditions: &haproxy.Conditions{Headers: []haproxy.ValueMatch{{Name: "x-h1", Value: "1"}}}, Backend: "b1"}
	public := haproxy.Route{Host: "public.test", Conditions: &haproxy.Conditions{Method: "NONE"}, Backend: "b2"}
	s := b.state(secret, public, haproxy.Route{Host: "public.test", Order: 1, Backend: "b0"})
	b.load(t, s)
	var texts []string
	for _, m := range s.Maps() {
		for _, e := range m.Entries {
			texts = append(texts, strings.TrimPrefix(e.Key, "^.*?"), e.Value)
		}
	}
	texts = append(texts, "\tGET\t", "%0aGET%0a/%0a&%0ax-h1:%201%0d", "!rule|0|x|0", "!bucket|0|a", "|", "@even", "&=x-h1:1&")
	for _, text := range texts {
		for _, r := range []haproxy.Request{
			{Path: "/" + escapedTarget(text)}, {Path: "/", Query: escapedTarget(text) + "&x-h1=1"}, {Path: "/", Method: escapedToken(text)},
			{Path: "/", Headers: []haproxy.Header{{Name: "X-H2", Value: text}, {Name: "X-H1", Value: "1"}}},
		} {
			r.To, r.Host = b.listeners[0], "public.test"
			if got := answer(t, r); got != "b0" && got != "400" {
				t.Errorf("%+v: got %s, want b0", r, got)
			}
		}
	}
}

// escapedTarget is text without what HAProxy does not accept in a request-target.
func escapedTarget(text string) string {
	return strings.NewReplacer(" ", "", "\t", "", "#", "").Replace(text)
}

// escapedToken is text without what HAProxy does not accept in a method.
func escapedToken(text string) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c) {
			return -1
		}
		return c
	}, text) + "X"
}
