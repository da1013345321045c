// SPDX-License-Identifier: Apache-2.0

package kubeapitest_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

func fetch(t *testing.T, url string) (int, http.Header, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

func apply(t *testing.T, s *kubeapitest.Server, text string) {
	t.Helper()
	if err := s.Apply(text); err != nil {
		t.Fatal(err)
	}
}

const service = "kind: Service\nmetadata: {name: NAME, namespace: shop, labels: {app: NAME}, creationTimestamp: \"2026-01-02T03:04:05Z\", uid: u}\n"

func named(name string) string { return strings.ReplaceAll(service, "NAME", name) }

func TestListHasTheFieldsOfKubernetes(t *testing.T) {
	s := kubeapitest.Run(t)
	apply(t, s, named("cart"))
	_, _, got := fetch(t, s.URL()+"/api/v1/services")
	want := `{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"1001"},"items":[{"apiVersion":"v1","kind":"Service","metadata":{"creationTimestamp":"2026-01-02T03:04:05Z","labels":{"app":"cart"},"name":"cart","namespace":"shop","resourceVersion":"1001","uid":"u"}}]}`
	if diff := cmp.Diff(want, strings.TrimSpace(got)); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

func TestPagesShowTheStateOfTheFirstPage(t *testing.T) {
	s := kubeapitest.Run(t)
	apply(t, s, named("a")+"---\n"+named("b")+"---\n"+named("c"))
	type page struct {
		Metadata struct {
			ResourceVersion, Continue string
			RemainingItemCount        int
		}
		Items []struct{ Metadata struct{ Name string } }
	}
	get := func(query string) (p page) {
		t.Helper()
		_, _, body := fetch(t, s.URL()+"/api/v1/namespaces/shop/services?limit=2"+query)
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := get("")
	if len(first.Items) != 2 || first.Metadata.RemainingItemCount != 1 {
		t.Fatalf("first page %+v, want two items and one to come", first)
	}
	s.Delete("Service", "shop", "c")
	second := get("&continue=" + first.Metadata.Continue)
	if len(second.Items) != 1 || second.Items[0].Metadata.Name != "c" || second.Metadata.ResourceVersion != first.Metadata.ResourceVersion {
		t.Errorf("second page %+v, want c, deleted meanwhile, at the first page's version", second)
	}
	s.ExpireContinue()
	if code, _, _ := fetch(t, s.URL()+"/api/v1/services?limit=2&continue="+first.Metadata.Continue); code != http.StatusGone {
		t.Errorf("status %d of an expired token, want 410", code)
	}
}

// events reads a watch.
type events struct {
	t     *testing.T
	lines *bufio.Scanner
}

func watch(t *testing.T, s *kubeapitest.Server, query string) *events {
	t.Helper()
	resp, err := http.Get(s.URL() + "/api/v1/services?watch=true&allowWatchBookmarks=true&" + query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return &events{t, bufio.NewScanner(resp.Body)}
}

// next returns "TYPE name version", or "end".
func (e *events) next() string {
	e.t.Helper()
	if !e.lines.Scan() {
		return "end"
	}
	var line struct {
		Type   string
		Object struct {
			Code     int
			Metadata struct{ Name, ResourceVersion string }
		}
	}
	if err := json.Unmarshal(e.lines.Bytes(), &line); err != nil {
		return "garbage " + e.lines.Text()
	}
	if line.Type == "ERROR" {
		return "ERROR " + http.StatusText(line.Object.Code)
	}
	return strings.Join(strings.Fields(line.Type+" "+line.Object.Metadata.Name+" "+line.Object.Metadata.ResourceVersion), " ")
}

func TestWatchSendsChanges(t *testing.T) {
	s := kubeapitest.Run(t)
	all, cart := watch(t, s, "resourceVersion=1000"), watch(t, s, "resourceVersion=1000&labelSelector=app%3Dcart")
	for _, step := range []struct {
		name      string
		do        func()
		all, cart string // the event of each watch; "" for no event
	}{
		{"a new object", func() { apply(t, s, named("cart")) }, "ADDED cart 1001", "ADDED cart 1001"},
		{"an object that the selector does not match", func() { apply(t, s, named("pay")) }, "ADDED pay 1002", ""},
		{"a changed object", func() { apply(t, s, named("cart")) }, "MODIFIED cart 1003", "MODIFIED cart 1003"},
		{
			"an object that stops matching the selector",
			func() { apply(t, s, strings.Replace(named("cart"), "app: cart", "app: old", 1)) },
			"MODIFIED cart 1004", "DELETED cart 1004",
		},
		{"an object that matches the selector again", func() { apply(t, s, named("cart")) }, "MODIFIED cart 1005", "ADDED cart 1005"},
		{"a deleted object", func() { s.Delete("Service", "shop", "cart") }, "DELETED cart 1006", "DELETED cart 1006"},
		{"a bookmark", s.Bookmark, "BOOKMARK 1006", "BOOKMARK 1006"},
		{"garbage", func() { s.SendGarbage("<html>") }, "garbage <html>", "garbage <html>"},
		{"expired versions", s.ExpireVersions, "ERROR Gone", "ERROR Gone"},
		{"the end of the watch", func() {}, "end", "end"},
	} {
		step.do()
		for e, want := range map[*events]string{all: step.all, cart: step.cart} {
			if want == "" {
				continue
			}
			if got := e.next(); got != want {
				t.Errorf("%s: event %q, want %q", step.name, got, want)
			}
		}
	}
	if got := watch(t, s, "resourceVersion=1005").next(); got != "ERROR Gone" {
		t.Errorf("event %q from an expired version, want ERROR Gone", got)
	}
	s.Misbehave(kubeapitest.GoneByHTTP())
	if code, _, _ := fetch(t, s.URL()+"/api/v1/services?watch=true&resourceVersion=1005"); code != http.StatusGone {
		t.Errorf("status %d from an expired version, want 410", code)
	}
}

func TestDeleteReportsWhetherTheObjectExisted(t *testing.T) {
	s := kubeapitest.Run(t)
	apply(t, s, named("cart"))
	if !s.Delete("Service", "shop", "cart") || s.Delete("Service", "shop", "cart") || s.Delete("Pod", "shop", "cart") {
		t.Error("want true for the first deletion of a Service, false for the second one and for a Pod")
	}
}

func TestApplyErrors(t *testing.T) {
	s := kubeapitest.New()
	for text, want := range map[string]string{
		"kind: Pod\nmetadata: {name: a}": `apply: kind "Pod" is neither Service, EndpointSlice nor Node`,
		"kind: Service":                  "apply: Service without a name",
	} {
		if err := s.Apply(text); err == nil || err.Error() != want {
			t.Errorf("apply %q: error %v, want %s", text, err, want)
		}
	}
}

func TestRestartedServerKeepsAddressAndObjects(t *testing.T) {
	s := kubeapitest.Run(t)
	before := s.URL()
	if err := s.Start(""); err == nil {
		t.Error("it started twice")
	}
	s.Stop()
	s.Stop()
	apply(t, s, named("cart"))
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	if s.URL() != before {
		t.Errorf("URL %s, want %s as before", s.URL(), before)
	}
	if _, _, body := fetch(t, before+"/api/v1/services"); !strings.Contains(body, `"cart"`) {
		t.Errorf("list %s, want the Service that was applied while it was stopped", body)
	}
}

func TestTooManyRequestsIsPlainText(t *testing.T) {
	s := kubeapitest.Run(t)
	s.Misbehave(kubeapitest.TooManyRequests(1, 2*time.Second))
	code, header, body := fetch(t, s.URL()+"/api/v1/services")
	got := []any{code, header.Get("Content-Type"), header.Get("Retry-After"), body}
	want := []any{429, "text/plain; charset=utf-8", "2", "Too many requests, please try again later.\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if code, _, _ := fetch(t, s.URL()+"/api/v1/services"); code != http.StatusOK {
		t.Errorf("status %d of the next request, want 200", code)
	}
}

func TestTypedObjectsAreListedAsSet(t *testing.T) {
	s := kubeapitest.Run(t)
	want := kubeapi.Service{
		Key:             kubeapi.Key{Namespace: "shop", Name: "cart"},
		UID:             "u",
		Created:         time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Annotations:     map[string]string{"a": "b"},
		Type:            "NodePort",
		ClusterIP:       "10.96.0.7",
		Affinity:        "ClientIP",
		AffinityTimeout: time.Minute,
		Ports: []kubeapi.ServicePort{
			{Name: "http", Protocol: "TCP", AppProtocol: "http", Port: 80, TargetPort: "web", NodePort: 30080},
			{Name: "https", Protocol: "TCP", Port: 443, TargetPort: "8443"},
		},
	}
	if err := s.SetService(want); err != nil {
		t.Fatal(err)
	}
	_, _, body := fetch(t, s.URL()+"/api/v1/services")
	got, err := kubeapi.Decode(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	want.ResourceVersion = "1001"
	if diff := cmp.Diff([]*kubeapi.Service{&want}, got.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

// TestAPortStaysReserved stops a server and takes its port in the way of an outgoing
// connection.
func TestAPortStaysReserved(t *testing.T) {
	s := kubeapitest.Run(t)
	addr := strings.TrimPrefix(s.URL(), "http://")
	s.Stop()
	local, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{LocalAddr: local}).Dial("tcp", kubeapitest.Run(t).URL()[len("http://"):])
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a connection from %s: %v", addr, err)
	}
	if conn != nil {
		conn.Close()
	}
	if conn, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a connection to the stopped server: %v, %v", conn, err)
	}
	if err := s.Start(""); err != nil {
		t.Errorf("start again: %v", err)
	}
}
