// SPDX-License-Identifier: Apache-2.0

package kubeapitest_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// ask sends a GET with these header fields and returns the answer, not decompressed.
func ask(t *testing.T, url string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

const protobuf = "application/vnd.kubernetes.protobuf"

func TestAnswersHaveTheAcceptedEncoding(t *testing.T) {
	s := kubeapitest.Run(t)
	apply(t, s, named("cart"))
	for _, tt := range []struct{ path, accept, contentType, begin string }{
		{"/api/v1/services", protobuf + ", application/json", protobuf, "k8s\x00"},
		{"/api/v1/services", "application/json", "application/json", "{"},
		{"/api/v1/services?watch=true&resourceVersion=1000&timeoutSeconds=1", protobuf, protobuf + ";stream=watch", "\x00\x00\x00"},
		{"/api/v1/services?watch=true&resourceVersion=1000&timeoutSeconds=1", "", "application/json", "{"},
		{"/api/v1/pods", protobuf, protobuf, "k8s\x00"},
	} {
		resp := ask(t, s.URL()+tt.path, "Accept", tt.accept)
		begin := make([]byte, len(tt.begin))
		_, err := io.ReadFull(resp.Body, begin)
		if got := resp.Header.Get("Content-Type"); err != nil || got != tt.contentType || string(begin) != tt.begin {
			t.Errorf("%s as %s: %s that begins with %q and %v", tt.path, tt.accept, got, begin, err)
		}
	}
	s.SpeakOnlyJSON()
	if got := ask(t, s.URL()+"/api/v1/services", "Accept", protobuf).Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %s of a server that speaks only JSON", got)
	}
}

func TestBigListsAreCompressed(t *testing.T) {
	s := kubeapitest.Run(t)
	url := s.URL() + "/api/v1/services"
	for i := range 1000 {
		if err := s.SetService(kubeapi.Service{Key: kubeapi.Key{Namespace: "shop", Name: fmt.Sprintf("app-%04d", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := io.ReadAll(ask(t, url).Body)
	if err != nil {
		t.Fatal(err)
	}
	resp := ask(t, url, "Accept-Encoding", "gzip")
	zip, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(zip); err != nil || string(text) != string(whole) {
		t.Errorf("%d bytes and %v, want the %d bytes of the answer without gzip", len(text), err, len(whole))
	}
	if got := ask(t, url+"?limit=10", "Accept-Encoding", "gzip").Header.Get("Content-Encoding"); got != "" {
		t.Errorf("a short list is in %s", got)
	}
}

func TestStreamedListsEndWithABookmark(t *testing.T) {
	const query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
	s := kubeapitest.Run(t)
	apply(t, s, named("cart")+"---\n"+named("pay"))
	events := watch(t, s, query)
	for _, want := range []string{"ADDED cart 1001", "ADDED pay 1002", "BOOKMARK 1002"} {
		if got := events.next(); got != want {
			t.Errorf("event %q, want %q", got, want)
		}
	}
	apply(t, s, named("zoo"))
	if got := events.next(); got != "ADDED zoo 1003" {
		t.Errorf("event %q after the list, want the change", got)
	}
	rejected := func(query string) {
		t.Helper()
		code, _, body := fetch(t, s.URL()+"/api/v1/services?watch=true&"+query)
		if code != http.StatusUnprocessableEntity || !strings.Contains(body, "sendInitialEvents") {
			t.Errorf("status %d and %s, want 422", code, body)
		}
	}
	rejected("sendInitialEvents=true")
	s.RejectStreamedLists()
	rejected(query)
}
