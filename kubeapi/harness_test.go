// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// logBook keeps log lines without their time.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// lines returns the lines that hold text.
func (b *logBook) lines(text string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []string
	for line := range strings.Lines(b.text.String()) {
		if strings.Contains(line, text) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

var message = regexp.MustCompile(`level=(?:INFO|WARN|ERROR) msg=("[^"]*"|\S+)`)

// messages returns the messages of level Info or higher.
func (b *logBook) messages() (all []string) {
	for _, line := range b.lines("") {
		if m := message.FindStringSubmatch(line); m != nil {
			all = append(all, strings.Trim(m[1], `"`))
		}
	}
	return all
}

func (b *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// watching returns a Config that watches the namespace shop of s, with short
// pauses.
func watching(s *kubeapitest.Server) kubeapi.Config {
	return kubeapi.Config{
		Server:         s.URL(),
		Namespaces:     []string{"shop"},
		Watch:          true,
		PollInterval:   50 * time.Millisecond,
		ResyncInterval: time.Hour,
	}
}

func polling(s *kubeapitest.Server) kubeapi.Config {
	cfg := watching(s)
	cfg.Watch = false
	return cfg
}

// following is a Client that follows until the test ends.
type following struct {
	t    *testing.T
	out  chan *kubeapi.Snapshot
	logs *logBook
}

func follow(t *testing.T, cfg kubeapi.Config, options ...func(*kubeapi.Client)) *following {
	t.Helper()
	f := &following{t: t, out: make(chan *kubeapi.Snapshot, 1), logs: &logBook{}}
	c := newClient(t, cfg, f.logs)
	for _, option := range options {
		option(c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Follow(ctx, f.out) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Follow ended with %v, want context canceled", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", strings.Join(f.logs.lines(""), "\n"))
		}
	})
	return f
}

func newClient(t *testing.T, cfg kubeapi.Config, logs *logBook) *kubeapi.Client {
	t.Helper()
	c, err := kubeapi.New(cfg, logs.logger())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// until waits for a Snapshot for which ok is true, and returns it.
func (f *following) until(wanted string, ok func(*kubeapi.Snapshot) bool) *kubeapi.Snapshot {
	f.t.Helper()
	deadline := time.After(20 * time.Second)
	var last *kubeapi.Snapshot
	for {
		select {
		case s := <-f.out:
			if ok(s) {
				return s
			}
			last = s
		case <-deadline:
			f.t.Fatalf("no Snapshot with %s; the last one: %s", wanted, describe(last))
		}
	}
}

// untilServices waits for a Snapshot of exactly these Services.
func (f *following) untilServices(names ...string) *kubeapi.Snapshot {
	f.t.Helper()
	return f.until(fmt.Sprintf("services %v", names), func(s *kubeapi.Snapshot) bool {
		return slices.Equal(serviceNames(s), names)
	})
}

// noneUntil waits until ready is true, and fails if there is a Snapshot by then.
func (f *following) noneUntil(what string, ready func() bool) {
	f.t.Helper()
	eventually(f.t, what, ready)
	select {
	case s := <-f.out:
		f.t.Fatalf("there is a Snapshot: %s", describe(s))
	default:
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		if ok() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("timeout: %s", what)
		}
	}
}

func serviceNames(s *kubeapi.Snapshot) []string {
	var names []string
	for _, svc := range s.Services {
		names = append(names, svc.Name)
	}
	return names
}

func describe(s *kubeapi.Snapshot) string {
	if s == nil {
		return "none"
	}
	return fmt.Sprintf("services %v, slices of %d, complete %d", serviceNames(s), s.Slices.Len(), s.Complete)
}

// serve returns a server that rejects streamed lists, so that Lists counts each list.
func serve(t *testing.T, names ...string) *kubeapitest.Server {
	t.Helper()
	s := serveStreams(t, names...)
	s.RejectStreamedLists()
	return s
}

// serveStreams returns a server that streams lists, as Kubernetes does from 1.34 on.
func serveStreams(t *testing.T, names ...string) *kubeapitest.Server {
	t.Helper()
	s := kubeapitest.Run(t)
	for _, name := range names {
		setService(t, s, name)
		setSlice(t, s, name, "10.0.0.1")
	}
	return s
}

func setService(t *testing.T, s *kubeapitest.Server, name string) {
	t.Helper()
	err := s.SetService(kubeapi.Service{
		Key:   kubeapi.Key{Namespace: "shop", Name: name},
		Ports: []kubeapi.ServicePort{{Name: "http", Port: 80}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func setSlice(t *testing.T, s *kubeapitest.Server, service string, addrs ...string) {
	t.Helper()
	slice := kubeapi.EndpointSlice{
		Key:     kubeapi.Key{Namespace: "shop", Name: service + "-1"},
		Service: service,
		Ports:   []kubeapi.EndpointPort{{Name: "http", Port: 8080}},
	}
	for _, addr := range addrs {
		slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Addr: netip.MustParseAddr(addr), Ready: true, Serving: true})
	}
	if err := s.SetSlice(slice); err != nil {
		t.Fatal(err)
	}
}

// addresses returns the endpoints of a Service in the namespace shop.
func addresses(s *kubeapi.Snapshot, service string) []string {
	var all []string
	for _, slice := range s.Slices.Of(kubeapi.Key{Namespace: "shop", Name: service}) {
		for _, e := range slice.Endpoints {
			all = append(all, e.Addr.String())
		}
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
