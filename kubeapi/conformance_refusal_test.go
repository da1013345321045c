//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest/realapi"
)

// tooManyRequests puts the account into a priority level of a single seat without
// a queue (Kubernetes API Priority and Fairness), and other clients into that seat: most
// of its requests are answered with 429.
func tooManyRequests(t *testing.T, s *space) {
	cfg := s.config()
	cfg.ResyncInterval = 2 * time.Second // a running watch continues
	watches := s.follow(cfg)
	cfg.Watch = false
	polls := s.follow(cfg)
	s.service("cart", nil)
	for _, f := range (followers{watches, polls}) {
		f.await(servicesAre("cart"))
	}

	const levels, schemas = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
	s.post(levels, object{
		"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration", "metadata": object{"name": s.name},
		"spec": object{"type": "Limited", "limited": object{
			"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
			"limitResponse": object{"type": "Reject"},
		}},
	})
	s.post(schemas, object{
		"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": object{"name": s.name},
		"spec": object{
			"priorityLevelConfiguration": object{"name": s.name},
			"matchingPrecedence":         2, // the first one that is allowed
			"rules": []object{{
				"subjects":      []object{{"kind": "ServiceAccount", "serviceAccount": object{"namespace": s.name, "name": conformanceAccount}}},
				"resourceRules": []object{{"verbs": []string{"*"}, "apiGroups": []string{"*"}, "resources": []string{"*"}, "namespaces": []string{"*"}}},
			}},
		},
	})
	account, path := s.cluster.As(t, s.token()), s.path("v1", "Service")
	crowd := func(heads int, every time.Duration) (leave func()) {
		ctx, cancel := context.WithCancel(t.Context())
		var others sync.WaitGroup
		for range heads {
			others.Go(func() {
				tick := time.NewTicker(every)
				defer tick.Stop()
				for ctx.Err() == nil {
					_ = account.Do(ctx, http.MethodGet, path, "", nil, nil) // most are answered with 429
					<-tick.C
				}
			})
		}
		return func() {
			cancel()
			others.Wait()
		}
	}
	leave := crowd(4, 5*time.Millisecond)
	defer func() { leave() }()
	account.Await(t, path, http.StatusTooManyRequests)
	polls.awaitLog(afterARejection, "API server throttles requests", 1)
	watches.awaitLog(afterARejection, "429 Too Many Requests: Too many requests, please try again later.", 1)
	// The seat is free now and then, however slow the server is.
	leave()
	leave = crowd(1, 100*time.Millisecond)
	s.service("pay", nil)
	for _, f := range (followers{watches, polls}) {
		f.await(servicesAre("cart", "pay"))
	}

	leave()
	if err := s.cluster.Admin.Do(t.Context(), http.MethodDelete, schemas+"/"+s.name, "", nil, nil); err != nil {
		t.Fatal(err)
	}
	s.service("zoo", nil)
	for _, f := range (followers{watches, polls}) {
		f.await(servicesAre("cart", "pay", "zoo"))
		f.awaitLists(2)
		f.awaitTruth()
		began := len(f.logs.lines(`msg="API server throttles requests"`)) // a seat may have been free now and then
		f.awaitLog(afterARejection, `msg="API server no longer throttles requests"`, began)
		if got := f.logs.messages(); len(got) != 2*began {
			t.Errorf("logged %q, want %d times that it throttles and that it no longer does, and nothing else", got, began)
		}
	}
}

// continueTokenExpires has etcd compact the version of the first page before the next one
// is requested. The server has no watch cache, which would keep it.
func continueTokenExpires(t *testing.T, s *space) {
	for _, name := range []string{"a", "b", "c"} {
		s.service(name, object{"selector": nil})
	}
	reached, compacted := make(chan struct{}), make(chan struct{})
	var once sync.Once
	gone := make(chan string, 10)
	cfg := s.config()
	cfg.Server, cfg.CAFile = s.through(func(r *http.Request) {
		query := r.URL.Query()
		if query.Has("limit") {
			query.Set("limit", "1")
			r.URL.RawQuery = query.Encode()
		}
		if query.Has("continue") {
			once.Do(func() {
				close(reached)
				<-compacted
			})
		}
	}, func(resp *http.Response) error {
		if resp.StatusCode == http.StatusGone {
			gone <- resp.Request.URL.Query().Get("continue")
		}
		return nil
	}), ""
	type result struct {
		snapshot *kubeapi.Snapshot
		err      error
	}
	listed := make(chan result, 1)
	ctx, cancel := context.WithTimeout(t.Context(), afterAnOutage)
	defer cancel()
	c := newClient(t, cfg, &logBook{})
	go func() {
		snapshot, err := c.List(ctx)
		listed <- result{snapshot, err}
	}()
	select {
	case <-reached:
	case r := <-listed:
		t.Fatalf("it was listed in one piece: %s, %v", describe(r.snapshot), r.err)
	}
	s.service("d", object{"selector": nil})
	s.cluster.Compact(t)
	close(compacted)
	r := <-listed
	if r.err != nil {
		t.Fatal(r.err)
	}
	if d := diff(s.truth(""), r.snapshot); d != "" {
		t.Errorf("the list differs from the cluster (-want +got):\n%s", d)
	}
	select {
	case <-gone:
	default:
		t.Error("no page was 410 Gone: this is not the case that the test is for")
	}
}

// through returns the address of a proxy of the API server, over plain HTTP.
func (s *space) through(rewrite func(*http.Request), answer func(*http.Response) error) string {
	s.t.Helper()
	ca, err := os.ReadFile(s.cluster.CAFile())
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	server, err := url.Parse(realapi.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(server)
			rewrite(r.Out)
		},
		ModifyResponse: answer,
		FlushInterval:  -1,
		Transport:      &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	})
	s.t.Cleanup(proxy.Close)
	return proxy.URL
}
