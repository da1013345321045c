// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"podgate/daemon/edgetest"
	"podgate/kubeapi"
)

// answerRow is a line of the requests in testdata/service-loadbalancer.txtar.
type answerRow struct {
	number, request string
	want            map[bool]string // by service_loadbalancer
}

// TestServiceLoadbalancer compares answers with those of service-loadbalancer, also after
// the key was changed at run time.
func TestServiceLoadbalancer(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("../testdata/service-loadbalancer.txtar")
	must(t, err)
	if len(archive.Files) != 2 {
		t.Fatalf("%d files, want services.yaml and requests", len(archive.Files))
	}
	services, err := kubeapi.Decode(bytes.NewReader(archive.Files[0].Data))
	must(t, err)
	rows := answerRows(t, string(archive.Files[1].Data))
	for _, ancestor := range []bool{true, false} {
		t.Run(fmt.Sprintf("service_loadbalancer=%v", ancestor), func(t *testing.T) {
			t.Parallel()
			e := newEdge(t).withTLS(t)
			e.certify(t, "only.pem", "*.example.com")
			e.Set("kubernetes.namespaces", nil)
			e.Set("defaults.check", false) // the server with the wrong protocol is not down
			e.Set("compatibility.service_loadbalancer", ancestor)
			e.setHTTPS(t)
			for _, svc := range services.Services {
				e.putReporting(t, *svc)
			}
			e.start(t)
			e.awaitAnswers(t, rows, ancestor)
			e.Set("compatibility.service_loadbalancer", !ancestor)
			e.setHTTPS(t)
			e.awaitAnswers(t, rows, !ancestor)
		})
	}
}

// awaitAnswers waits until every request has the answer of the table.
func (e *tlsEdge) awaitAnswers(t *testing.T, rows []answerRow, ancestor bool) {
	t.Helper()
	eventually(t, fmt.Sprintf("the answers with %v", ancestor), func() error {
		var got, want []string
		for _, row := range rows {
			got = append(got, fmt.Sprintf("%s %s -> %s", row.number, row.request, e.answer(t, row.request)))
			want = append(want, fmt.Sprintf("%s %s -> %s", row.number, row.request, row.want[ancestor]))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("(-want +got)\n%s", diff)
		}
		return nil
	})
}

// TestSSLBridge has a Service of a fork of service-loadbalancer, whose pods serve TLS.
func TestSSLBridge(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "only.pem", "*.example.com")
	e.service(t, "mgt", map[string]string{"enabled": "true", "sslBridge.web": "true", "host.web": "mgt.example.com"}, newTLSPod(t, "mgt-0"))
	e.service(t, "off", map[string]string{"enabled": "false", "host": "off.example.com"}, newPod(t, "off-0"))
	e.service(t, "on", map[string]string{"enabled": "true", "hostname": "on.example.com"}, newPod(t, "on-0"))
	e.start(t)
	e.awaitTLSAnswer(t, "mgt.example.com", "/x", "200 mgt-0 /x")
	e.awaitAnswer(t, "on.example.com", "/x", "200 on-0 /x")
	for _, request := range []string{"http://mgt.example.com/x", "http://any.example.com/mgt/x", "http://off.example.com/x", "http://any.example.com/off/x"} {
		if got := e.answer(t, request); got != "404" {
			t.Errorf("%s: got %s, want 404", request, got)
		}
	}
}

func answerRows(t *testing.T, text string) (rows []answerRow) {
	t.Helper()
	numbers := map[string]bool{}
	for line := range strings.Lines(text) {
		var cells []string
		for cell := range strings.SplitSeq(line, "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		if len(cells) != 4 {
			t.Fatalf("%q has %d cells, want 4", line, len(cells))
		}
		if cells[3] == "same" {
			cells[3] = cells[2]
		}
		numbers[cells[0]] = true
		rows = append(rows, answerRow{cells[0], cells[1], map[bool]string{true: cells[2], false: cells[3]}})
	}
	for n := range 12 {
		if !numbers[strconv.Itoa(n+1)] {
			t.Errorf("no request for row %d", n+1)
		}
	}
	return rows
}

// putReporting creates a Service with two pods for each port, which serve plain HTTP and
// answer as described in testdata/service-loadbalancer.txtar.
func (e *tlsEdge) putReporting(t *testing.T, svc kubeapi.Service) {
	t.Helper()
	must(t, e.Cluster.SetService(svc))
	for _, p := range svc.Ports {
		name := fmt.Sprintf("%s:%d", svc.Name, p.Port)
		for i := range 2 {
			pod := newPodOf(t, edgetest.PodOptions{Name: name, Service: svc.Name, Configure: func(s *http.Server) {
				s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Replica", strconv.Itoa(i))
					fmt.Fprintf(w, "%s %s", name, r.URL.Path)
					if strings.HasPrefix(name, "forwarded") {
						fmt.Fprintf(w, " for=%s proto=%s", strings.Join(r.Header.Values("X-Forwarded-For"), ","), r.Header.Get("X-Forwarded-Proto"))
					}
				})
			}})
			must(t, e.Cluster.SetSlice(kubeapi.EndpointSlice{
				Key: kubeapi.Key{Namespace: svc.Namespace, Name: fmt.Sprintf("%s-%d-%d", svc.Name, p.Port, i)}, Service: svc.Name, AddressType: "IPv4",
				Ports:     []kubeapi.EndpointPort{{Name: p.Name, Protocol: "TCP", Port: pod.Addr.Port()}},
				Endpoints: []kubeapi.Endpoint{{Addr: pod.Addr.Addr(), Ready: true, Serving: true}},
			}))
		}
	}
}

// answer sends a request of the table, and returns the answer in its form.
func (e *tlsEdge) answer(t *testing.T, request string) string {
	t.Helper()
	client := e.clientOfAnyHost()
	defer client.CloseIdleConnections()
	words := strings.Fields(request)
	if words[0] == "sticky" {
		return e.stickiness(t, client, words[1:])
	}
	res, body, err := send(t, client, words[0], words[1:]...)
	switch {
	case err != nil && strings.Contains(err.Error(), unknownName):
		return "handshake rejected"
	case err != nil:
		return err.Error()
	case res.StatusCode != http.StatusOK:
		return strconv.Itoa(res.StatusCode)
	}
	text := fmt.Sprintf("%d %s", res.StatusCode, body)
	if hsts, ok := strings.CutPrefix(res.Header.Get("Strict-Transport-Security"), "max-age="); ok {
		text += " hsts=" + hsts
	}
	return text
}

// stickiness counts the most requests to each Service that one of its pods answered.
func (e *tlsEdge) stickiness(t *testing.T, client *http.Client, services []string) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	client.Jar = jar
	counts := make([][2]int, len(services))
	for range 16 {
		for i, name := range services {
			res, _, err := send(t, client, "http://any.example.com/"+name+"/x")
			if err != nil {
				return err.Error()
			}
			replica, err := strconv.Atoi(res.Header.Get("Replica"))
			if err != nil {
				return res.Status
			}
			counts[i][replica]++
		}
	}
	words := make([]string, len(counts))
	for i, c := range counts {
		words[i] = strconv.Itoa(slices.Max(c[:]))
	}
	return strings.Join(words, " ")
}

// clientOfAnyHost returns a client that sends requests for every host and port to the edge.
func (e *tlsEdge) clientOfAnyHost() *http.Client {
	dial := func(addr netip.AddrPort) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr.String())
		}
	}
	secure := func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		conn, err := dial(e.https)(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true})
		return c, c.HandshakeContext(ctx)
	}
	return &http.Client{
		Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dial(e.HTTP), DialTLSContext: secure},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send sends a request with headers, "NAME:VALUE".
func send(t *testing.T, client *http.Client, url string, headers ...string) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}
