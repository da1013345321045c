// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"podgate/daemon/edgetest"
	"podgate/haproxy"
)

// killer kills podgate before HAProxy receives a text.
type killer struct {
	proxy *edgetest.Proxy

	mu     sync.Mutex
	after  string // of what podgate must have sent before; "" for nothing
	before string // "" for never
	kill   func()
	killed chan struct{}
}

// newKiller puts a killer between podgate and HAProxy's admin socket.
func newKiller(t *testing.T, b *box) *killer {
	t.Helper()
	k := new(killer)
	var err error
	if k.proxy, err = edgetest.StartProxy("unix", filepath.Join(b.Folder, "killer.sock"), b.HAProxy.Admin, k.hear); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.proxy.Close)
	b.Set("haproxy.admin_socket", k.proxy.Addr())
	if err := b.Configure(""); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *killer) hear(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.after != "" {
		if strings.Contains(text, k.after) {
			k.after = ""
		}
		return
	}
	if k.before == "" || !strings.Contains(text, k.before) {
		return
	}
	k.before = ""
	k.kill()
	k.proxy.Cut() // so that HAProxy does not receive the text
	close(k.killed)
}

// set makes podgate end before it sends the text, once it has sent after.
func (k *killer) set(after, before string, kill func()) (killed chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.after, k.before, k.kill, k.killed = after, before, kill, make(chan struct{})
	return k.killed
}

// TestPodgateIsKilledAtEachStepOfASpare kills podgate while a backend takes a spare
// and while it is removed from it. After every second kill, another program reloads
// HAProxy before podgate starts again.
func TestPodgateIsKilledAtEachStepOfASpare(t *testing.T) {
	b := newBox(t)
	if adds, err := b.Runtime.AddsBackends(t.Context()); err != nil || adds {
		t.Skipf("this HAProxy adds backends at run time and has no spares (%v)", err)
	}
	k := newKiller(t, b)
	b.newPod(t, 0)
	b.start(t)
	b.awaitPod(t, 0)
	first, err := b.Runtime.Process(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	load := edgetest.StartLoad(edgetest.LoadOptions{Clients: 2})
	t.Cleanup(func() { load.Stop() })
	watch := func(name string) (remove func()) {
		remove, err := load.Add(t.Context(), edgetest.Target{Service: name, Request: edgetest.Request{Addr: b.HTTP, Path: "/" + name + "/"}, Strip: "/" + name})
		if err != nil {
			t.Fatal(err)
		}
		return remove
	}
	watch("cart")
	resume := func(killed chan struct{}, n int) {
		t.Helper()
		err := edgetest.Await(t.Context(), "podgate is killed", func() error {
			select {
			case <-killed:
				return nil
			default:
				return fmt.Errorf("it did not send the command")
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		b.podgate.Kill()
		if n%2 == 1 {
			pid := b.HAProxy.Pid()
			if err := b.HAProxy.SignalReload(); err != nil {
				t.Fatal(err)
			}
			err := edgetest.Await(t.Context(), "HAProxy is reloaded", func() error {
				if now := b.HAProxy.Pid(); now == 0 || now == pid {
					return fmt.Errorf("pid %d", now)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		b.start(t)
	}
	kill := func() { _ = b.podgate.Process.Kill() }

	var removes []func()
	for n, step := range []struct{ after, before string }{
		{"", "prepare map " + b.file("spares.map")}, // the files have the new maps
		{"", "commit map @"},                        // of spares.map
		{"", "add server podgate-spare."},
		{"add server podgate-spare.", "prepare map "},                 // the spare has its servers
		{"add server podgate-spare.", "commit map @"},                 // of routes.map
		{"prepare map " + b.file("routes.map"), "show servers state"}, // the Service answers
		{}, // podgate is not killed
	} {
		name := fmt.Sprintf("new%d", n)
		pod, err := edgetest.StartPod(edgetest.PodOptions{Name: name + "-0"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pod.Close)
		b.podgate.Kill() // so that one pass of the next one does everything
		b.service(t, name)
		if err := b.Cluster.SetEndpoints(name, edgetest.Ready(pod)...); err != nil {
			t.Fatal(err)
		}
		killed := k.set(step.after, step.before, kill)
		b.start(t)
		if step.before != "" {
			resume(killed, n)
		}
		removes = append(removes, watch(name))
		err = edgetest.Await(t.Context(), "podgate.cfg has the new server", func() error { // within a second
			text, err := os.ReadFile(b.file("podgate.cfg"))
			if err == nil && !strings.Contains(string(text), haproxy.ServerName(pod.Addr)) {
				err = fmt.Errorf("no server %s", pod.Addr)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	b.awaitNoDifference(t)

	for n, step := range []struct{ after, before string }{
		{"", "prepare map " + b.file("routes.map")}, // the files have no route
		{"", "commit map @"},
		{"commit map @", "state maint"},                         // no route leads to the spare
		{"", "del server podgate-spare."},                       // the server is in maint
		{"", "prepare map " + b.file("spares.map")},             // the spare is empty
		{"prepare map " + b.file("spares.map"), "commit map @"}, // the same
		{}, // podgate is not killed
	} {
		name := fmt.Sprintf("new%d", n)
		removes[n]()
		b.podgate.Kill()
		b.Cluster.RemoveService(name)
		killed := k.set(step.after, step.before, kill)
		b.start(t)
		if step.before != "" {
			resume(killed, n)
		}
		if err := b.AwaitAnswer(t.Context(), "any", "/"+name+"/", "404 404 no Service is reached by this host and path"); err != nil {
			t.Fatal(err)
		}
	}
	err = edgetest.Await(t.Context(), "every spare is free", func() error {
		names, err := b.Runtime.SpareNames(t.Context())
		if err == nil && len(names) > 0 {
			err = fmt.Errorf("backends in spares: %v", names)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	b.awaitNoDifference(t)
	report := load.Stop()
	t.Log(report)
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	if p, err := b.Runtime.Process(t.Context()); err != nil || p.Generation != first.Generation {
		t.Errorf("podgate reloaded HAProxy: generation %s, before %s, %v", p.Generation, first.Generation, err)
	}
}

// file is the path of a file in HAProxy's folder.
func (b *box) file(name string) string { return filepath.Join(b.HAProxy.Folder, name) }
