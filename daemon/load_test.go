// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is a client that never stops: short and keep-alive connections, until
// the test stops it.
type load struct {
	sent, failed atomic.Int64
	mu           sync.Mutex
	causes       []string
	stop         func()
}

// startLoad asks for each of paths in turn. An answer is right if it has status
// 200 and comes from a pod whose name begins with the path's first segment.
func (tw *town) startLoad(paths ...string) *load {
	return tw.startLoadBy("http://"+tw.http.String(), func(t *http.Transport) {}, paths...)
}

// startLoadBy is startLoad below another URL, by transports made so.
func (tw *town) startLoadBy(base string, by func(*http.Transport), paths ...string) *load {
	l := new(load)
	done := make(chan struct{})
	var workers sync.WaitGroup
	for i := range 4 {
		transport := &http.Transport{DisableKeepAlives: i%2 == 0}
		by(transport)
		workers.Go(func() { l.work(done, base, paths, transport) })
	}
	l.stop = sync.OnceFunc(func() {
		close(done)
		workers.Wait()
	})
	tw.t.Cleanup(l.stop)
	return l
}

func (l *load) work(done chan struct{}, base string, paths []string, transport *http.Transport) {
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 10 * time.Second}
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		default:
		}
		path := paths[n%len(paths)]
		if n%50 == 49 {
			path += "?sleep=100ms" // so that leaving pods have requests under way
		}
		l.sent.Add(1)
		if err := ask(&client, base+path, strings.SplitN(path, "/", 3)[1]); err != nil {
			l.failed.Add(1)
			l.mu.Lock()
			l.causes = append(l.causes, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), path, err))
			l.mu.Unlock()
		}
	}
}

func ask(client *http.Client, url, service string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("status %d", resp.StatusCode)
	case !strings.HasPrefix(string(body), strings.TrimSuffix(service, "?sleep=100ms")):
		return fmt.Errorf("answered by %q", body)
	}
	return nil
}

// check stops the load and fails the test if a request failed.
func (l *load) check(t *testing.T) {
	t.Helper()
	l.stop()
	t.Logf("requests sent %d, failed %d", l.sent.Load(), l.failed.Load())
	if l.failed.Load() > 0 {
		t.Errorf("%d of %d requests failed:\n%s", l.failed.Load(), l.sent.Load(), strings.Join(l.causes[:min(10, len(l.causes))], "\n"))
	}
	if l.sent.Load() == 0 {
		t.Error("no request was sent")
	}
}
