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
	"time"

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

// rejectServer adds a server to a backend whose id is that of a pod which the Service gets
// then: HAProxy rejects the server of the pod. The other pods move meanwhile.
func (e *edge) rejectServer(ctx context.Context) error {
	i := e.IntN(stable)
	var free []int
	for n := range perPod {
		if !e.wanted[i][n] {
			free = append(free, n)
		}
	}
	if len(free) == 0 {
		return errNotHere
	}
	n := free[e.IntN(len(free))]
	addr := netip.AddrPortFrom(podAddr(i, n), e.pods.At(serviceName(i), podAddr(i, n)).Port())
	name := fmt.Sprintf("shop_%s_80/stranger", serviceName(i))
	if _, err := e.command(fmt.Sprintf("add server %s 127.0.0.1:9 id %d", name, haproxy.ServerID(addr, 0))); err != nil {
		return err
	}
	for range 3 {
		pods := e.somePods()
		if !slices.Contains(pods, n) {
			pods = append(pods, n)
		}
		if err := e.setPods(i, pods...); err != nil {
			return err
		}
		e.moment(ctx)
	}
	_, err := e.command("set server " + name + " state maint; del server " + name)
	return err
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
