// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

func TestListPages(t *testing.T) {
	s := serve(t)
	var want []string
	for i := range 1203 {
		want = append(want, fmt.Sprintf("app-%04d", i))
		setService(t, s, want[i])
	}
	got, err := newClient(t, polling(s), &logBook{}).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, serviceNames(got)); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if s.Lists() != 4 {
		t.Errorf("%d pages, want 4: three of services, one of endpointslices", s.Lists())
	}
}

func TestExpiredContinueTokenListsInOnePage(t *testing.T) {
	s := serve(t, "a", "b", "c")
	s.Misbehave(kubeapitest.PageSize(1))
	var pages atomic.Int32
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pages.Add(1) == 3 {
			s.ExpireContinue()
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	cfg := polling(s)
	cfg.Server = front.URL
	got, err := newClient(t, cfg, &logBook{}).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, serviceNames(got)); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if got := pages.Load(); got != 7 {
		t.Errorf("%d requests, want 7: two pages, the expired one, all in one, and three pages of endpointslices", got)
	}
}

func TestListErrors(t *testing.T) {
	answer := func(code int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	const list = `"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"}`
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{
			name:   "401 without credentials",
			answer: answer(401, "application/json", `{"kind":"Status","message":"Unauthorized"}`),
			want:   `list services in namespace "shop": 401 Unauthorized (no credentials are configured)`,
		},
		{
			name:   "403 names verb and resource",
			answer: answer(403, "application/json", `{"kind":"Status","message":"services is forbidden: User \"edge\" cannot list resource \"services\""}`),
			want:   `list services in namespace "shop": 403 Forbidden: services is forbidden: User "edge" cannot list resource "services" (its role needs the rule {apiGroups: [""], resources: [services], verbs: [list]})`,
		},
		{
			name:   "404 of another server",
			answer: answer(404, "text/html", `<html>not here</html>`),
			want:   `list services in namespace "shop": 404 Not Found (is URL a Kubernetes API server, 1.21 or newer?)`,
		},
		{
			name:   "429 is plain text",
			answer: answer(429, "text/plain; charset=utf-8", "Too many requests, please try again later.\nreally\n"),
			want:   `list services in namespace "shop": 429 Too Many Requests: Too many requests, please try again later.`,
		},
		{
			name:   "500 keeps the server's message after the retries",
			answer: answer(500, "application/json", `{"kind":"Status","message":"etcdserver: request timed out"}`),
			want:   `list services in namespace "shop": 500 Internal Server Error: etcdserver: request timed out`,
		},
		{
			name:   "a redirect is not followed",
			answer: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
			want:   `list services in namespace "shop": 302 Found`,
		},
		{
			name:   "HTML",
			answer: answer(200, "text/html", `<html>`),
			want:   `list services in namespace "shop": read answer: invalid character '<' looking for beginning of value`,
		},
		{
			name:   "another JSON",
			answer: answer(200, "application/json", `{"hello":"world"}`),
			want:   `list services in namespace "shop": read answer: not a Kubernetes list, it has no resourceVersion`,
		},
		{
			name:   "an array",
			answer: answer(200, "application/json", `[]`),
			want:   `list services in namespace "shop": read answer: it begins with [, not with {`,
		},
		{
			name:   "a list cut short",
			answer: answer(200, "application/json", `{`+list+`,"items":[{"metadata":{"name":"cart"`),
			want:   `list services in namespace "shop": read answer: unexpected EOF`,
		},
		{
			name:   "items that are not an array",
			answer: answer(200, "application/json", `{`+list+`,"items":7}`),
			want:   `list services in namespace "shop": read answer: items is 7, not a list`,
		},
		{
			name:   "an unreadable object without a name",
			answer: answer(200, "application/json", `{`+list+`,"items":[{"metadata":7}]}`),
			want:   `list services in namespace "shop": read answer: metadata: unexpected number`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.answer)
			t.Cleanup(server.Close)
			c := newClient(t, kubeapi.Config{Server: server.URL, Namespaces: []string{"shop"}, PollInterval: time.Millisecond}, &logBook{})
			_, err := c.List(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(strings.ReplaceAll(tt.want, "URL", server.URL), err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListSkipsUnreadableObjects(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"metadata":{"resourceVersion":"7"},"items":[
			{"metadata":{"namespace":"shop","name":"odd"},"spec":{"ports":"none"},"ports":"none"},
			{"metadata":{"namespace":"shop","name":"cart","labels":{"kubernetes.io/service-name":"cart"}}}]}`)
	}))
	t.Cleanup(server.Close)
	logs := &logBook{}
	c := newClient(t, kubeapi.Config{Server: server.URL, Namespaces: []string{"shop"}}, logs)
	got, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cart"}, serviceNames(got)); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if lines := logs.lines("shop/odd"); len(lines) != 2 {
		t.Errorf("log %q, want one line each for the Service and the slice", lines)
	}
}

func TestFollowKeepsTheLastStateOfUnreadableObjects(t *testing.T) {
	var odd atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		spec := `{"clusterIP":"10.1.1.1"}`
		if odd.Load() {
			spec = `{"ports":"none"}`
		}
		_, _ = fmt.Fprintf(w, `{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"namespace":"shop","name":"cart"},"spec":%s}]}`, spec)
	}))
	t.Cleanup(server.Close)
	f := follow(t, kubeapi.Config{Server: server.URL, Namespaces: []string{"shop"}, PollInterval: 5 * time.Millisecond})
	before := f.untilServices("cart")
	odd.Store(true)
	eventually(t, "the warning", func() bool { return len(f.logs.lines("object unreadable, keeping its last state")) > 0 })
	after := f.until("two more lists", func(s *kubeapi.Snapshot) bool { return s.Complete > before.Complete+2 })
	if after.Services[0] != before.Services[0] {
		t.Error("the Service was replaced")
	}
	if got := f.logs.lines("object unreadable"); len(got) != 1 {
		t.Errorf("logged %d times, want once: %q", len(got), got)
	}
}

func TestRequestHeadersAndQueries(t *testing.T) {
	type request struct{ Path, Query, UserAgent, Accept, Authorization string }
	var got []request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, request{r.URL.EscapedPath(), r.URL.RawQuery, r.UserAgent(), r.Header.Get("Accept"), r.Header.Get("Authorization")})
		_, _ = io.WriteString(w, `{"metadata":{"resourceVersion":"7"},"items":null}`)
	}))
	t.Cleanup(server.Close)
	file := t.TempDir() + "/token"
	write(t, file, "s3cret")
	c := newClient(t, kubeapi.Config{
		Server:     server.URL + "/k8s/clusters/c-1",
		TokenFile:  file,
		Namespaces: []string{"shop"},
		Selector:   "edge in (dmz,lan)",
		UserAgent:  "podgate/1.0",
	}, &logBook{})
	if _, err := c.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []request{
		{"/k8s/clusters/c-1/api/v1/namespaces/shop/services", "labelSelector=edge+in+%28dmz%2Clan%29&limit=500", "podgate/1.0", "application/vnd.kubernetes.protobuf, application/json", "Bearer s3cret"},
		{"/k8s/clusters/c-1/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", "limit=500", "podgate/1.0", "application/vnd.kubernetes.protobuf, application/json", "Bearer s3cret"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestListEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	_, err := newClient(t, kubeapi.Config{Server: server.URL, Namespaces: []string{"shop"}}, &logBook{}).List(ctx)
	if err == nil || err.Error() != `list services in namespace "shop": context canceled` {
		t.Errorf("error %v", err)
	}
}
