// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"podgate/daemon/edgetest"
	"podgate/haproxy"
	"podgate/kubeapi/kubeapitest"
)

// companyFaults are what others do on the machine and in the cluster.
func (e *edge) companyFaults() []*fault {
	forbid := func() {
		for _, resource := range []string{"services", "endpointslices"}[e.IntN(2):] {
			e.Cluster.Misbehave(kubeapitest.Forbid("list", resource, evilNamespace), kubeapitest.Forbid("watch", resource, evilNamespace))
		}
		e.Cluster.CutWatches()
	}
	return []*fault{
		{name: "HAProxy reloaded by another program", do: func(ctx context.Context) error {
			for range 1 + e.IntN(3) {
				if err := errors.Join(e.HAProxy.SignalReload(), e.churn()); err != nil {
					return err
				}
				e.moment(ctx)
			}
			return nil
		}},
		{name: "HAProxy reloaded by another program while podgate is down", do: func(ctx context.Context) error {
			e.podgate.Kill()
			err := errors.Join(e.HAProxy.SignalReload(), e.churn())
			e.moment(ctx)
			return errors.Join(err, e.startPodgate())
		}},
		{name: "operator's file with odd globals", do: e.oddGlobals},
		{name: "second podgate with the same folder", do: func(ctx context.Context) error {
			second, err := e.StartProcess(e.binary, clockEnv+"="+e.clock)
			if err != nil {
				return err
			}
			kill := time.AfterFunc(20*time.Second, func() { _ = second.Process.Kill() })
			defer kill.Stop()
			err = errors.Join(e.churn(), second.Wait())
			const exitConfig = 78 // sysexits(3)
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitConfig {
				return fmt.Errorf("the second podgate ended with %v", err)
			}
			return nil
		}},
		{name: "a namespace is forbidden", do: func(ctx context.Context) error {
			return e.while(ctx, forbid, e.behave)
		}},
		{name: "a namespace is forbidden while podgate starts", do: func(ctx context.Context) error {
			forbid()
			e.podgate.Kill()
			return errors.Join(e.startPodgate(), e.while(ctx, func() {}, e.behave))
		}},
		{name: "HAProxy rejects a server", do: e.rejectServer},
	}
}

// oddGlobals reloads HAProxy with keywords in the operator's global section that podgate
// has to cope with, and then without them.
func (e *edge) oddGlobals(ctx context.Context) error {
	base, err := os.ReadFile(e.HAProxy.Base)
	if err != nil {
		return err
	}
	odd := []string{
		"server-state-file /nonexistent", "server-state-base /nonexistent", "description odd", "hard-stop-after 1h", "tune.bufsize 8192",
		"nbthread 1", "maxconn 2000", "spread-checks 50", "mworker-max-reloads 3", "node odd", "tune.maxrewrite 512",
	}
	e.Shuffle(len(odd), func(i, j int) { odd[i], odd[j] = odd[j], odd[i] })
	text := string(base) + "\nglobal\n  " + strings.Join(odd[:1+e.IntN(4)], "\n  ") + "\n"
	for _, content := range []string{text, string(base)} {
		if err := errors.Join(os.WriteFile(e.HAProxy.Base, []byte(content), 0o600), e.HAProxy.SignalReload()); err != nil {
			return err
		}
		e.moment(ctx)
		if err := e.churn(); err != nil {
			return err
		}
		e.moment(ctx)
	}
	return nil
}

// rejectServer has HAProxy reject the server of a pod that a Service gets: servers that
// podgate does not manage have all its ids. The other pods move meanwhile. A reload, or
// podgate, can remove these servers before the pod is there: it tries several times, and
// fails if HAProxy rejected nothing.
func (e *edge) rejectServer(ctx context.Context) error {
	const tries = 10
	var rejections atomic.Int64
	listening := edgetest.Mode{Answer: func(text string) {
		if strings.Contains(text, "already used") {
			rejections.Add(1)
		}
	}}
	for _, p := range []*edgetest.Proxy{e.admin, e.master} {
		p.Set(listening)
		defer p.Set(edgetest.Mode{})
	}
	for range tries {
		if err := e.rejectOnce(ctx); err != nil {
			return err
		}
		if rejections.Load() > 0 || ctx.Err() != nil {
			return nil
		}
	}
	return fmt.Errorf("HAProxy rejected no server of podgate in %d tries", tries)
}

func (e *edge) rejectOnce(ctx context.Context) error {
	i := e.IntN(stable)
	n := e.IntN(perPod)
	pods := slices.DeleteFunc(e.somePods(), func(p int) bool { return p == n })
	if len(pods) == 0 {
		pods = append(pods, (n+1)%perPod)
	}
	if err := e.setPods(i, pods...); err != nil {
		return err
	}
	if err := e.awaitPods(ctx, i); err != nil { // so that HAProxy has no server of pod n
		return err
	}
	addr := netip.AddrPortFrom(podAddr(i, n), e.pods.At(serviceName(i), podAddr(i, n)).Port())
	name := func(attempt int) string { return fmt.Sprintf("shop_%s_80/stranger%d", serviceName(i), attempt) }
	var add, remove []string
	const ids = 5 // of a server
	for attempt := range ids {
		add = append(add, fmt.Sprintf("add server %s 127.0.0.1:9 id %d", name(attempt), haproxy.ServerID(addr, attempt)))
		remove = append(remove, "set server "+name(attempt)+" state maint", "del server "+name(attempt))
	}
	if _, err := e.command(strings.Join(add, "; ")); err != nil {
		return err
	}
	for range 3 {
		if err := e.setPods(i, append(slices.DeleteFunc(e.somePods(), func(p int) bool { return p == n }), n)...); err != nil {
			return err
		}
		e.moment(ctx)
	}
	_, err := e.command(strings.Join(remove, "; "))
	return err
}

// awaitPods waits until HAProxy has the servers of a Service and no other ones.
func (e *edge) awaitPods(ctx context.Context, i int) error {
	backend := "shop_" + serviceName(i) + "_80"
	for began := time.Now(); ; {
		served, err := e.Runtime.Servers(ctx, []string{backend})
		if err == nil {
			if err = e.compareService(i, served[backend]); err == nil && len(served[backend]) == len(e.wanted[i]) {
				return nil
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > backInSync {
			return fmt.Errorf("servers of %s within %s: %w", backend, backInSync, err)
		}
		edgetest.Pause(ctx, 50*time.Millisecond)
	}
}

// command sends commands to HAProxy.
func (e *edge) command(text string) (string, error) {
	conn, err := net.Dial("unix", e.HAProxy.Admin)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text+"\n"); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(conn)
	return string(reply), err
}
