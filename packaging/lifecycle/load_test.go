// SPDX-License-Identifier: Apache-2.0

//go:build lifecycle

package lifecycle

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pod is an HTTP server on a loopback address of its own. It answers with its name, or
// with its address if the query is "who".
type pod struct{ addr netip.AddrPort }

// podPort is the port of every pod; their addresses differ.
const podPort = 8080

var lastPod atomic.Uint32

func newPod(t *testing.T, name string) *pod {
	t.Helper()
	n := lastPod.Add(1)
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 77, byte(n >> 8), byte(n)}), podPort)
	listener, err := net.Listen("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "sleep") {
			time.Sleep(100 * time.Millisecond)
		}
		text := name
		if strings.Contains(r.URL.RawQuery, "who") {
			text = addr.String()
		}
		fmt.Fprint(w, text)
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return &pod{addr}
}

// await repeats the request until the answer is want.
func await(t *testing.T, url, want string) {
	t.Helper()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	awaitAnswer(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}, request, want)
}

func awaitAnswer(t *testing.T, client *http.Client, request *http.Request, want string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = answer(client, request); got == want {
			return
		}
	}
	t.Fatalf("%s: the last answer was %q, want %q\n%s", request.URL, got, want, journal())
}

func get(client *http.Client, url string) string {
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return err.Error()
	}
	return answer(client, request)
}

// answer returns the body of an answer with status 200, otherwise the error or status.
func answer(client *http.Client, request *http.Request) string {
	resp, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err.Error()
	case resp.StatusCode != http.StatusOK:
		return fmt.Sprintf("status %d: %s", resp.StatusCode, body)
	}
	return string(body)
}

// load is clients that send requests until stop, on short and kept-alive connections.
type load struct {
	sent, failed atomic.Int64
	mu           sync.Mutex
	causes       []string
	stop         func()
}

// startLoad requests each of urls; a correct answer is "cart" or "own".
func startLoad(t *testing.T, urls ...string) *load {
	l := new(load)
	done := make(chan struct{})
	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}, Timeout: 10 * time.Second}
			defer client.CloseIdleConnections()
			for n := i; ; n++ {
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond): // leave the machine to what is tested
				}
				url := urls[n%len(urls)]
				if n%50 == 0 {
					url += "?sleep"
				}
				l.sent.Add(1)
				if got := get(client, url); got != "cart" && got != "own" {
					l.failed.Add(1)
					l.mu.Lock()
					l.causes = append(l.causes, fmt.Sprintf("%s %s: %s", time.Now().Format("15:04:05.000"), url, got))
					l.mu.Unlock()
				}
			}
		})
	}
	l.stop = sync.OnceFunc(func() {
		close(done)
		workers.Wait()
	})
	t.Cleanup(l.stop)
	return l
}

func (l *load) log(t *testing.T) {
	t.Helper()
	t.Logf("requests sent %d, failed %d", l.sent.Load(), l.failed.Load())
}

// check stops the load, and fails the test if a request failed.
func (l *load) check(t *testing.T) {
	t.Helper()
	l.stop()
	l.log(t)
	if l.failed.Load() > 0 {
		t.Errorf("%d requests failed:\n%s", l.failed.Load(), strings.Join(l.causes[:min(10, len(l.causes))], "\n"))
	}
	if l.sent.Load() < 1000 {
		t.Error("fewer than 1000 requests were sent")
	}
}

// showInfo returns the output of HAProxy's "show info".
func showInfo(t *testing.T) string {
	t.Helper()
	conn, err := net.Dial("unix", "/run/haproxy/admin.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, "show info")
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
