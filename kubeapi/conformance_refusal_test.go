//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
	"podgate/kubeapi/kubeapitest/realapi"
)

// tooManyRequests puts the account into a priority level of a single seat without
// a queue (Kubernetes API Priority and Fairness), and others into that seat: most
// of what it asks is refused with 429.
func tooManyRequests(t *testing.T, s *space) {
	cfg := s.config()
	cfg.ResyncInterval = 2 * time.Second // a watch that runs goes on
	watches := s.follow(cfg)
	cfg.Watch = false
	polls := s.follow(cfg)
	s.service("cart", nil)
	for _, f := range (followers{watches, polls}) {
		f.sees(stands("cart"))
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
			"matchingPrecedence":         2, // the first that may be had
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
					_ = account.Do(ctx, http.MethodGet, path, "", nil, nil) // most are refused
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
	polls.tells(refusedWithin, "API server throttles requests", 1)
	watches.tells(refusedWithin, "429 Too Many Requests: Too many requests, please try again later.", 1)
	// The seat is free now and then, however slow the server is today.
	leave()
	leave = crowd(1, 100*time.Millisecond)
	s.service("pay", nil)
	for _, f := range (followers{watches, polls}) {
		f.sees(stands("cart", "pay"))
	}

	leave()
	if err := s.cluster.Admin.Do(t.Context(), http.MethodDelete, schemas+"/"+s.name, "", nil, nil); err != nil {
		t.Fatal(err)
	}
	s.service("zoo", nil)
	for _, f := range (followers{watches, polls}) {
		f.sees(stands("cart", "pay", "zoo"))
		f.seesLists(2)
		f.seesTruth()
		began := len(f.logs.lines(`msg="API server throttles requests"`)) // a seat may have been free now and then
		f.tells(refusedWithin, `msg="API server no longer throttles requests"`, began)
		if got := f.logs.messages(); len(got) != 2*began {
			t.Errorf("told %q, want %d times that it is overloaded and that it is no longer, alone", got, began)
		}
	}
}

// pluginRunAgain: the plugin does not say when its token ends, so only the
// server can.
func pluginRunAgain(t *testing.T, s *space) {
	folder := t.TempDir()
	token, runs, kubeconfig := filepath.Join(folder, "token"), filepath.Join(folder, "runs"), filepath.Join(folder, "kubeconfig")
	first := s.cluster.Expiring(t, s.token(), soon())
	write(t, token, first)
	script := fmt.Sprintf(`echo run >>%s; printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%%s"}}' "$(cat %s)"`, runs, token)
	write(t, kubeconfig, fmt.Sprintf(`
contexts: [{name: other, context: {cluster: none}}, {name: edge, context: {cluster: test, user: edge}}]
current-context: other
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q, tls-server-name: 127.0.0.1}}]
users: [{name: edge, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: ["-c", %q], interactiveMode: Never}}}]
`, realapi.URL, s.cluster.CAFile(), script))
	cfg := s.config()
	cfg.Server, cfg.CAFile, cfg.TokenFile, cfg.Kubeconfig, cfg.Context = "", "", "", kubeconfig, "edge"
	cfg.ResyncInterval = 3 * time.Second
	f := s.follow(cfg)
	s.service("cart", nil)
	f.sees(stands("cart"))

	write(t, token, s.token())
	s.cluster.As(t, first).Await(t, s.path("v1", "Service"), http.StatusUnauthorized)
	f.seesLists(2)
	s.service("pay", nil)
	f.sees(stands("cart", "pay"))
	f.seesTruth()
	f.told()
	if got := strings.Count(read(t, runs), "run"); got != 2 {
		t.Errorf("the plugin ran %d times, want twice", got)
	}
}

// addressFallsSilent: nothing ends and nothing arrives, which only the pings
// find out.
func addressFallsSilent(t *testing.T, s *space) {
	front := kubeapitest.RunFront(t, realapi.URL)
	cfg := s.config()
	cfg.Server, cfg.Servers = "https://"+front.Addr(), []string{realapi.URL}
	f := s.follow(cfg, func(c *kubeapi.Client) { c.SetPings(2*time.Second, 5*time.Second) })
	s.service("cart", nil)
	f.sees(stands("cart"))
	front.Freeze()
	s.service("pay", nil)
	f.sees(stands("cart", "pay"))
	f.seesTruth()
	f.told("another API server is followed")
}

// continueTokenExpires: etcd forgets what the first page showed before the next
// one is asked for. The server has no watch cache, which would remember.
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
	ctx, cancel := context.WithTimeout(t.Context(), seenAfterAnOutage)
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
		t.Errorf("the list is not what there is (-want +got):\n%s", d)
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
