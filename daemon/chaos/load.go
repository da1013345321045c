// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// statusError is an answer that is not 200.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// ask asks for a Service, and sees that one of its pods answers.
func (t *town) ask(client *http.Client, i int) error {
	resp, err := client.Get("http://" + t.http.String() + "/" + serviceName(i) + "/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return statusError(resp.StatusCode)
	}
	pod, err := netip.ParseAddrPort(string(body))
	if err != nil || pod.Addr().As4()[1] != byte(64+i) {
		return fmt.Errorf("%s was answered by %q", serviceName(i), body)
	}
	return nil
}

// startLoad asks for the stable Services without pause: over new connections,
// and over ones that stay.
func (t *town) startLoad() {
	for n := range 4 {
		t.loading.Go(func() {
			transport := &http.Transport{DisableKeepAlives: n%2 == 0}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
			for i := 0; ; i++ {
				select {
				case <-t.done:
					return
				default:
					t.askAsLoad(client, i%stable)
				}
			}
		})
	}
}

func (t *town) askAsLoad(client *http.Client, i int) {
	began, before := time.Now(), t.haproxyKilled.Load()
	t.sent.Add(1)
	err := t.ask(client, i)
	if err == nil {
		return
	}
	if after := t.haproxyKilled.Load(); before%2 == 1 || after != before {
		t.excused.Add(1)
		time.Sleep(time.Millisecond) // on purpose: nobody listens
		return
	}
	t.failed.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.why = append(t.why, fmt.Sprintf("%s %s, which took %s, in %q: %v",
		time.Now().Format("15:04:05.000"), serviceName(i), time.Since(began).Round(time.Millisecond), t.current.Load(), err))
}

func (t *town) stopLoad() {
	close(t.done)
	t.loading.Wait()
}

// causes are the first failures.
func (t *town) causes() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.why[:min(20, len(t.why))], "\n")
}

// pods are HTTP servers at every address of 127.0.0.0/8, all of them one
// listener. They answer with their address.
type pods struct {
	listener net.Listener
	server   *http.Server
	served   chan struct{} // closed when server has ended
	answers  atomic.Int64
}

func startPods() (*pods, error) {
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	p := &pods{listener: listener, served: make(chan struct{})}
	p.server = &http.Server{Handler: p}
	go func() {
		defer close(p.served)
		_ = p.server.Serve(listener) // http.ErrServerClosed
	}()
	return p, nil
}

func (p *pods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.answers.Add(1)
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	_, _ = io.WriteString(w, local.String()) // to a client that went away
}

func (p *pods) port() uint16 { return uint16(p.listener.Addr().(*net.TCPAddr).Port) }

func (p *pods) close() {
	_ = p.server.Close()
	<-p.served
}
