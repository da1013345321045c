// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"podgate/haproxy"
)

// awaitTimeout bounds how long podgate and HAProxy may take for one change. HAProxy 2.6 may
// need 10 seconds to close the idle connections of a server, and podgate 5 more to delete it.
const awaitTimeout = 30 * time.Second

// Await calls ok every few milliseconds until it returns nil, and returns its last
// error if it has not within 30 seconds.
func Await(ctx context.Context, what string, ok func() error) error {
	ctx, cancel := context.WithTimeout(ctx, awaitTimeout)
	defer cancel()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		if !Pause(ctx, 5*time.Millisecond) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// Get asks the HTTP frontend once, over a connection of its own, and returns
// status and body of the answer: "200 cart-0 /x".
func (e *Edge) Get(ctx context.Context, host, path string) (string, error) {
	client := &http.Client{Timeout: requestTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	return Fetch(ctx, client, host, "http://"+e.HTTP.String()+path)
}

// Fetch asks a URL for a host, and returns status and body of the answer.
func Fetch(ctx context.Context, client *http.Client, host, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Host = host
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(text))), err
}

// AwaitAnswer waits until host and path have an answer as Get returns it.
func (e *Edge) AwaitAnswer(ctx context.Context, host, path, want string) error {
	return Await(ctx, "http://"+host+path, func() error {
		got, err := e.Get(ctx, host, path)
		if err == nil && got != want {
			err = fmt.Errorf("got %q, want %q", got, want)
		}
		return err
	})
}

// AwaitServers waits until exactly these pods are ready servers of a backend.
// Servers in maint do not count: they take no request, and are deleted when
// HAProxy has closed its idle connections to them.
func (e *Edge) AwaitServers(ctx context.Context, backend string, pods ...*Pod) error {
	want := map[string]string{}
	for _, p := range pods {
		want[p.Addr.String()] = haproxy.Ready.String()
	}
	return Await(ctx, "servers of "+backend, func() error {
		servers, err := e.Runtime.OwnServers(ctx, []string{backend})
		if err != nil {
			return err
		}
		got := map[string]string{}
		for _, s := range servers[backend] {
			if s.State != haproxy.Maint {
				got[s.Addr.String()] = s.State.String()
			}
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("got %v, want %v", got, want)
		}
		return nil
	})
}

// AwaitReloads waits until HAProxy was reloaded for these reasons, after podgate's
// first reload.
func (e *Edge) AwaitReloads(ctx context.Context, want ...string) error {
	return Await(ctx, "reloads", func() error {
		switch got := e.Reloads(); {
		case len(got) == 0:
			return errors.New("none yet")
		case !slices.Equal(want, got[1:]):
			return fmt.Errorf("got %q, want %q", got[1:], want)
		}
		return nil
	})
}

// AwaitLog waits until podgate has logged a text.
func (e *Edge) AwaitLog(ctx context.Context, want string) error {
	return Await(ctx, "podgate's log", func() error {
		if !strings.Contains(e.Log.String(), want) {
			return fmt.Errorf("does not have %q", want)
		}
		return nil
	})
}
