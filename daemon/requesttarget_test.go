// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"podgate/daemon/edgetest"
	"podgate/haproxy"
)

// reportTarget answers with the first line of a request and its Host.
func reportTarget(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // HAProxy's check may send nothing
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	body := targetOf(req)
	fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func targetOf(r *http.Request) string {
	return fmt.Sprintf("%s %s, %s", r.Method, r.RequestURI, cmp.Or(r.Host, "no Host"))
}

// The forms of a request-target are those of RFC 9112 section 3.2.
func TestEveryFormOfARequestTargetIsRouted(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "shop.pem", "shop.test")
	pod := newRawPod(t, reportTarget)
	for name, annotations := range map[string]map[string]string{
		"shop":    {"host": "shop.test"},
		"moved":   {"host": "shop.test", "path": "/old", "rewrite": "/new"},
		"part":    {"host": "part.test", "path": "/only"},
		"secure":  {"host": "shop.test", "sslTerm": "true", "backend-protocol": "http"},
		"anyhost": {"path": "/any", "sslTerm": "true", "redirect-https": "true"},
	} {
		annotations["check"] = "false"
		e.service(t, name, annotations, pod)
	}
	e.service(t, "h2c", map[string]string{"check": "false", "host": "h2c.test", "backend-protocol": "h2c"}, newPodOf(t, edgetest.PodOptions{Name: "h2c", Configure: func(server *http.Server) {
		speak(server, "h2c")
		server.DisableGeneralOptionsHandler = true // it would answer OPTIONS *
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, targetOf(r)) })
	}}))
	e.start(t)
	e.awaitTLSAnswer(t, "shop.test", "/x", "200 GET /x, shop.test")
	by30 := map[string]string{ // what HAProxy 3.0 does before it applies rules
		"a URL with a query only":         "400 <html><body><h1>400 Bad request</h1>",
		"OPTIONS of a URL without a path": "200 OPTIONS /, shop.test",
	}
	const bad, none = "400 <html><body><h1>400 Bad request</h1>", "404 404 no Service is reached by this host and path"
	for _, row := range []struct{ name, request, want string }{
		{"a path", "GET /x?q=1 HTTP/1.1|Host: shop.test", "200 GET /x?q=1, shop.test"},
		{"a URL", "GET http://shop.test/x?q=1 HTTP/1.1|Host: shop.test", "200 GET /x?q=1, shop.test"},
		{"a URL in another case", "GET HTTP://Shop.Test/X HTTP/1.1|Host: shop.test", "200 GET /X, Shop.Test"},
		{"a URL with a port", "GET http://shop.test:8080/x HTTP/1.1|Host: shop.test:8080", "200 GET /x, shop.test:8080"},
		{"a URL without a path", "GET http://shop.test HTTP/1.1|Host: shop.test", "200 GET /, shop.test"},
		{"a URL with a query only", "GET http://shop.test?q=/a//b HTTP/1.0", "200 GET /?q=/a//b, shop.test"},
		{"a URL in a query", "GET /x?to=http://part.test/only HTTP/1.1|Host: shop.test", "200 GET /x?to=http://part.test/only, shop.test"},
		{"a URL in a path", "GET /http://part.test/only HTTP/1.1|Host: shop.test", "200 GET /http://part.test/only, shop.test"},
		{"a URL whose path is rewritten", "GET http://shop.test/old/x?q HTTP/1.1|Host: shop.test", "200 GET /new/x?q, shop.test"},
		{"a URL of HTTP/1.0 names the host", "GET http://shop.test/x HTTP/1.0", "200 GET /x, shop.test"},
		{"a URL names the host", "GET http://shop.test/x HTTP/1.1", "200 GET /x, shop.test"},
		{"the host of a URL is not Host", "GET http://part.test/only HTTP/1.1|Host: shop.test", bad},
		{"a URL without a host", "GET http:///x HTTP/1.1|Host: shop.test", bad},
		{"a URL without a host of HTTP/1.0", "GET http:///any HTTP/1.0", bad},
		{"a URL with a user", "GET http://user@shop.test/x HTTP/1.0", bad},
		{"no path", "OPTIONS * HTTP/1.1|Host: shop.test", "200 OPTIONS *, shop.test"},
		{"no path on a host of another path", "OPTIONS * HTTP/1.1|Host: part.test", none},
		{"no path with another method", "GET * HTTP/1.1|Host: shop.test", bad},
		{"OPTIONS of a path", "OPTIONS http://shop.test/x HTTP/1.1|Host: shop.test", "200 OPTIONS /x, shop.test"},
		{"OPTIONS of a URL without a path", "OPTIONS http://shop.test HTTP/1.1|Host: shop.test", "200 OPTIONS *, shop.test"},
		{"OPTIONS of a URL without a path on a host of another path", "OPTIONS http://part.test HTTP/1.1|Host: part.test", none},
		{"a tunnel", "CONNECT shop.test:443 HTTP/1.1|Host: shop.test:443", none},
		{"a URL, to a pod of HTTP/2", "GET http://h2c.test/x HTTP/1.0", "200 GET /x, h2c.test"},
		{"a URL without a path, to a pod of HTTP/2", "GET http://h2c.test HTTP/1.1|Host: h2c.test", "200 GET /, h2c.test"},
		{"no path, to a pod of HTTP/2", "OPTIONS * HTTP/1.1|Host: h2c.test", "200 OPTIONS *, h2c.test"},
		{"a redirect to the host", "GET /any/x HTTP/1.1|Host: other.test", "308"},
		{"a redirect to the host of a URL", "GET http://other.test/any/x HTTP/1.0", "308"},
		{"a redirect without a host", "GET /any/x HTTP/1.0", bad},
		{"a redirect with an empty host", "GET /any/x HTTP/1.1|Host:", bad},
		{"a redirect with a port only", "GET /any/x HTTP/1.1|Host: :80", bad},
	} {
		text := strings.ReplaceAll(row.request, "|", "\r\n") + "\r\nConnection: close\r\n\r\n"
		got, err := exchangeFrom(localhost, e.HTTP, text)
		got, _, _ = strings.Cut(got, "\n")
		if got != row.want && got != by30[row.name] {
			t.Errorf("%s: got %q, %v, want %q", row.name, got, err, row.want)
		}
	}
	for _, row := range []struct{ version, method, want string }{
		{"--http1.1", "OPTIONS", "OPTIONS *"},
		{"--http2", "OPTIONS", "OPTIONS *"},
		{"--http2", "GET", "GET /"},
	} {
		got, err := e.curl(t, "shop.test", row.version, "-X", row.method, "--request-target", "*")
		got, _, _ = strings.Cut(got, ",")
		if got != row.want && (got != "OPTIONS /" || row.version != "--http2") { // by HAProxy 3.0
			t.Errorf("%s * by TLS, %s: got %q, %v, want %q", row.method, row.version, got, err, row.want)
		}
	}
}

func TestDotSegmentsAreRemoved(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.service(t, "all", map[string]string{"check": "false", "host": "all.test"}, newRawPod(t, reportTarget))
	e.service(t, "part", map[string]string{"check": "false", "host": "part.test", "path": "/open, /moved", "rewrite": "/new"}, newRawPod(t, reportTarget))
	e.start(t)
	ask := func(host, path string) (string, error) {
		got, err := exchangeFrom(localhost, e.HTTP, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		got, _, _ = strings.Cut(got, "\n")
		return got, err
	}
	eventually(t, "part answers", func() error {
		got, err := ask("part.test", "/open/x")
		if err == nil && got != "200 GET /new/x, part.test" {
			err = errors.New(got)
		}
		return err
	})
	const none, deep = "404 404 no Service is reached by this host and path", "/a/b/c/d/e/f/g/h/i"
	for _, row := range []struct{ name, host, path, want string }{
		{"a path that leads out of a route", "part.test", "/open/../secret", none},
		{"percent-encoded", "part.test", "/open/%2E%2e/secret", none},
		{"a path that leads into a route", "part.test", "/a/.././open/x?q=/../y", "200 GET /new/x?q=/../y, part.test"},
		{"a URL", "part.test", "http://part.test/a/../open/x", "200 GET /new/x, part.test"},
		{"the root", "all.test", "/a/..", "200 GET /, all.test"},
		{"a path above the root", "all.test", "/../../a", "200 GET /a, all.test"},
		{"as many as are removed", "all.test", deep + strings.Repeat("/..", haproxy.MaxDotSegments), "200 GET /a/, all.test"},
		{"too many", "all.test", deep + strings.Repeat("/..", haproxy.MaxDotSegments+1), "400 <html><body><h1>400 Bad request</h1>"},
		{"dots in a query", "all.test", "/a?/../b", "200 GET /a?/../b, all.test"},
	} {
		if got, err := ask(row.host, row.path); got != row.want {
			t.Errorf("%s: got %q, %v, want %q", row.name, got, err, row.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	segments := []string{"a", "b", "", ".", "..", "..", "..", "%2e", "%2E%2e", ".%2e", "%2e.", "..a", ".a", "a..", "...", "%2e%2e%2e", "%2f", "%252e", "%41", "%7e%5F", "%3a%cC%Aa", "%2541"}
	for range 400 {
		path := ""
		for range 1 + r.IntN(haproxy.MaxDotSegments) {
			path += "/" + segments[r.IntN(len(segments))]
		}
		want := "200 GET " + haproxy.NormalizePath(path) + ", all.test"
		if got, err := ask("all.test", path); got != want {
			t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
		}
	}
}

// TestNoSpellingOfAPathPassesItsRoute has a Service for all clients, and one for a part of
// the same host with an allow-source that forbids all clients. Both have the same pod.
func TestNoSpellingOfAPathPassesItsRoute(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	pod := newRawPod(t, func(conn net.Conn) {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // HAProxy's check may send nothing
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err == nil {
			path := strings.Fields(line)[1]
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(path), path)
		}
	})
	for name, annotations := range map[string]map[string]string{
		"open":   {"host": "shop.test"},
		"closed": {"host": "shop.test", "path": "/%61dmin-%7e, /%c3%a9", "allow-source": "192.0.2.1"},
		"fold":   {"host": "fold.test", "aclMatch": "-i /%C3%A9%41"},
		"moved":  {"host": "moved.test", "path": "/%6Fld", "rewrite": "/%6eew"},
	} {
		annotations["check"] = "false"
		e.service(t, name, annotations, pod)
	}
	e.start(t)
	ask := func(host, path string) (string, error) {
		got, err := exchangeFrom(localhost, e.HTTP, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		got, _, _ = strings.Cut(got, "\n")
		return got, err
	}
	eventually(t, "the Services are served", func() error {
		for host, want := range map[string]string{"shop.test": "200 /old", "fold.test": "404", "moved.test": "200 /new"} {
			if got, err := ask(host, "/old"); err != nil || !strings.HasPrefix(got, want) {
				return fmt.Errorf("%s: got %q, %v, want %s", host, got, err, want)
			}
		}
		return nil
	})
	const bad, forbidden = "400 <html><body><h1>400 Bad request</h1>", "403 <html><body><h1>403 Forbidden</h1>"
	for _, row := range []struct{ name, host, path, want string }{
		{"as it is", "shop.test", "/admin-~/x", forbidden},
		{"a letter", "shop.test", "/%61dmin-~/x", forbidden},
		{"a mark", "shop.test", "/admin-%7e", forbidden},
		{"all characters", "shop.test", "/%61%64%6D%69%6e%2D%7E", forbidden},
		{"with dot segments", "shop.test", "/x/%2e%2E/%61dmin-~", forbidden},
		{"a URL", "shop.test", "http://shop.test/%61dmin-~", forbidden},
		{"in upper case", "shop.test", "/%C3%A9/x", forbidden},
		{"in lower case", "shop.test", "/%c3%a9", forbidden},
		{"an encoded character that decodes to an encoded one", "shop.test", "/%2561dmin-~", "200 /%2561dmin-~"},
		{"a character that is encoded by two invalid ones", "shop.test", "/%6%31dmin-~", bad},
		{"an invalid character and an encoded one", "shop.test", "/%/%61dmin-~", bad},
		{"an invalid character at the end", "shop.test", "/%61dmin-~%6", bad},
		{"an invalid character only", "shop.test", "/100%/%zz", "200 /100%/%zz"},
		{"a long path of encoded letters", "shop.test", strings.Repeat("/%61", 3500), "200 " + strings.Repeat("/a", 3500)},
		{"a long path of encoded signs", "shop.test", "/%61" + strings.Repeat("%25", 4500), "200 /a" + strings.Repeat("%25", 4500)},
		{"a long path", "shop.test", "/%61" + strings.Repeat("/%C3", 2000), "200 /a" + strings.Repeat("/%C3", 2000)},
		{"reserved characters stay encoded", "shop.test", "/a%2fb%3f%23%25?%61", "200 /a%2Fb%3F%23%25?%61"},
		{"a plus sign", "shop.test", "/a+%62", "200 /a+b"},
		{"in any case", "fold.test", "/%c3%a9%61", "200 /%C3%A9a"},
		{"rewritten", "moved.test", "/o%6Cd/%78", "200 /new/x"},
	} {
		if got, err := ask(row.host, row.path); got != row.want {
			t.Errorf("%s: got %q, %v, want %q", row.name, got, err, row.want)
		}
	}
}

// TestSpellingsThatPodsMayTakeForAnotherPath has routes of which programs reach the longer
// ones by spellings that are other paths for HAProxy. http.ambiguous_paths can reject them.
func TestSpellingsThatPodsMayTakeForAnotherPath(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	echo := func(name string) *edgetest.Pod {
		return newRawPod(t, func(conn net.Conn) {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // HAProxy's check may send nothing
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err == nil {
				text := name + " " + strings.Fields(line)[1]
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
			}
		})
	}
	all := echo("all")
	e.service(t, "all", map[string]string{"check": "false", "host": "shop.test"}, all)
	e.service(t, "closed", map[string]string{"check": "false", "host": "shop.test", "path": "/admin", "allow-source": "192.0.2.1"}, all)
	e.service(t, "a", map[string]string{"check": "false", "host": "shop.test", "path": "/a"}, echo("a"))
	e.service(t, "ab", map[string]string{"check": "false", "host": "shop.test", "path": "/a/b"}, echo("ab"))
	e.start(t)
	ask := func(path string) (string, error) {
		got, err := exchangeFrom(localhost, e.HTTP, "GET "+path+" HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
		got, _, _ = strings.Cut(got, "\n")
		return got, err
	}
	await := func(path, want string) {
		t.Helper()
		eventually(t, path, func() error {
			got, err := ask(path)
			if err == nil && got != want {
				err = fmt.Errorf("got %q, want %q", got, want)
			}
			return err
		})
	}
	await("/a/b", "200 ab /a/b")
	await("/", "200 all /")
	const bad, forbidden = "400 <html><body><h1>400 Bad request</h1>", "403 <html><body><h1>403 Forbidden</h1>"
	rows := []struct{ path, want, rejected string }{
		{"/a%2Fb", "200 all /a%2Fb", bad},
		{"/a%2fb", "200 all /a%2Fb", bad},
		{"/a/b%2Fc", "200 a /a/b%2Fc", bad},
		{"/%2Fa/b", "200 all /%2Fa/b", bad},
		{"/x%2F..%2Fa/b", "200 all /x%2F..%2Fa/b", bad},
		{"//a/b", "200 all //a/b", bad},
		{"/a//b", "200 a /a//b", bad},
		{"/a;x/b", "200 all /a;x/b", bad},
		{"/a%5Cb", "200 all /a%5Cb", bad},
		{`/a\b`, `200 all /a\b`, bad},
		{"/a%00/b", "200 all /a%00/b", bad},
		{"/A/b", "200 all /A/b", "200 all /A/b"},
		{"/admin%2Fusers", "200 all /admin%2Fusers", bad},
		{"//admin/users", "200 all //admin/users", bad},
		{"/admin//users", forbidden, bad},
		{"/admin/users%2F1", forbidden, bad},
		{"/admin/..//admin", "200 all //admin", bad},
		{"/a/b/c?d=%2F;//", "200 ab /a/b/c?d=%2F;//", "200 ab /a/b/c?d=%2F;//"},
		{"/a/b%20%3B%25", "200 a /a/b%20%3B%25", "200 a /a/b%20%3B%25"},
		{"http://shop.test/a/b", "200 ab /a/b", "200 ab /a/b"},
		{"/a/", "200 a /a/", "200 a /a/"},
	}
	for _, row := range rows {
		if got, err := ask(row.path); got != row.want {
			t.Errorf("%s: got %q, %v, want %q", row.path, got, err, row.want)
		}
	}
	e.set(t, "http.ambiguous_paths", "reject")
	await("/a%2Fb", bad)
	for _, row := range rows {
		if got, err := ask(row.path); got != row.rejected {
			t.Errorf("%s, rejected: got %q, %v, want %q", row.path, got, err, row.rejected)
		}
	}
	e.awaitNoDifference(t)
	for of, want := range map[string]string{
		"http://shop.test/a%2Fb": "HAProxy answers 400: http.ambiguous_paths in podgate.toml rejects the path",
		"http://shop.test/a/b":   "is routed to Service shop/ab port web",
	} {
		if got, err := e.explain(t, of, strings.NewReplacer()); err != nil || !strings.Contains(got, want) {
			t.Errorf("explain %s: %v\n%s", of, err, got)
		}
	}
}
