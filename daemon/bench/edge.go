// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
	"podgate/kubeapi/kubeapitest"
)

const (
	// inSyncTimeout bounds how long podgate may take from its start until all is
	// served.
	inSyncTimeout = time.Minute
	// settleTime is for what podgate does behind the last answer.
	settleTime = 2 * time.Second
	// answerTimeout bounds how long one change may take to show.
	answerTimeout = 30 * time.Second
	// checkInterval keeps health checks out of the way.
	checkInterval = time.Hour
	// reloadInterval is podgate's default.
	reloadInterval = 5 * time.Second
)

// edge is a fake API server, a real HAProxy and a podgate in a process of its
// own, with the pods that they lead to.
type edge struct {
	size
	check   bool    // health checks are on, as is podgate's default
	tls     keyKind // each Service is reached in TLS, by its host
	keys    keys
	dir     string
	api     *kubeapitest.Server
	haproxy *haproxytest.HAProxy
	runtime *runtime.Client
	version string // of HAProxy
	podgate *podgate
	pods    *pods
	http    netip.AddrPort // where podgate's frontend listens
	https   netip.AddrPort // where its TLS frontend does, if tls
	admin   netip.AddrPort // podgate's page and metrics
	bare    netip.AddrPort // where the yardstick's does
	socket  string         // podgate's control socket
	inSync  time.Duration  // from podgate's start until the last Service answered
	churn   time.Duration  // how long a benchmark that is about churn has pods move
}

// openEdge fills a cluster and returns when all of it is served.
func openEdge(ctx context.Context, s size, tls keyKind, binary string) (*edge, error) {
	e := &edge{size: s, tls: tls, api: kubeapitest.New(), check: canCheck(s.services * s.pods), churn: churnTime}
	if err := e.open(ctx, binary); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *edge) open(ctx context.Context, binary string) (err error) {
	if e.dir, err = os.MkdirTemp("", "podgate-bench"); err != nil {
		return err
	}
	if e.pods, err = startPods(); err != nil {
		return err
	}
	if err := e.fill(); err != nil {
		return err
	}
	if err := e.certify(); err != nil {
		return err
	}
	if err := e.api.Start(""); err != nil {
		return err
	}
	if err := e.startHAProxy(ctx); err != nil {
		return err
	}
	toml, err := e.configure()
	if err != nil {
		return err
	}
	if e.inSync, err = e.startPodgate(ctx, binary, toml); err != nil {
		return fmt.Errorf("%w\npodgate said:\n%s\nHAProxy said:\n%s", err, e.podgate.log(), e.haproxy.Log())
	}
	if !pause(ctx, settleTime) {
		return context.Cause(ctx)
	}
	return nil
}

// startPodgate returns how long it took until the last Service answered.
func (e *edge) startPodgate(ctx context.Context, binary, toml string) (time.Duration, error) {
	began := time.Now()
	var err error
	if e.podgate, err = startPodgate(binary, toml, filepath.Join(e.dir, "log")); err != nil {
		return 0, err
	}
	for _, i := range []int{0, e.services - 1} {
		if err := e.await(ctx, serviceName(i), inSyncTimeout); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// canCheck reports whether HAProxy may open a file for each server, as it does
// for health checks; it does not start if it may not.
func canCheck(servers int) bool {
	const besides = 8000
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return err == nil && limit.Max >= uint64(servers+besides)
}

// startHAProxy runs HAProxy with the yardstick beside what will be podgate's.
func (e *edge) startHAProxy(ctx context.Context) (err error) {
	if e.haproxy, err = haproxytest.Start(ctx, haproxytest.Options{}); err != nil {
		return err
	}
	e.runtime = runtime.New(e.haproxy.Admin, e.haproxy.Master, e.haproxy.Folder)
	if e.http, err = e.haproxy.FreeAddr(); err != nil {
		return err
	}
	if e.https, err = e.haproxy.FreeAddr(); err != nil {
		return err
	}
	if e.bare, err = e.haproxy.FreeAddr(); err != nil {
		return err
	}
	if e.admin, err = e.haproxy.FreeAddr(); err != nil {
		return err
	}
	if err := e.haproxy.Write(map[string][]byte{"yardstick.cfg": yardstickConfig(e.bare)}); err != nil {
		return err
	}
	if err := e.haproxy.Restart(ctx); err != nil {
		return err
	}
	process, err := e.runtime.Process(ctx)
	e.version = process.Version
	return err
}

// configure writes podgate.toml and returns its path.
func (e *edge) configure() (string, error) {
	relay, err := e.haproxy.FreeAddr()
	if err != nil {
		return "", err
	}
	e.socket = filepath.Join(e.dir, "podgate.sock")
	text := fmt.Sprintf(`[kubernetes]
server = %q
namespaces = [%q]

%serror_files = ""
reload_interval = %q

[http]
bind = [%q]
relay = %q

[defaults]
check = %t
check_interval = %q

[admin]
listen = [%q]
socket = %q
history = %q
`, e.api.URL(), namespace, e.haproxy.Section(), reloadInterval, e.http, relay, e.check, checkInterval, e.admin, e.socket, filepath.Join(e.dir, "history.json"))
	if e.tls != noTLS {
		text += fmt.Sprintf("\n[https]\nbind = [%q]\ncertificates = [%q]\nrelay = \"\"\n", e.https, e.certificates())
	}
	path := filepath.Join(e.dir, "podgate.toml")
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// await waits until the Service answers, each time over a new connection.
func (e *edge) await(ctx context.Context, service string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, path := &client{addr: e.http}, "/"+service+"/"
	if e.tls != noTLS {
		c, path = &client{addr: e.https, host: host(service)}, "/"
	}
	return c.until(ctx, path, 2*time.Millisecond, func(a answer) bool { return a.status == 200 })
}

// close ends everything. The edge may be half open.
func (e *edge) close() error {
	var errs []error
	if e.podgate != nil {
		errs = append(errs, e.podgate.stop())
	}
	if e.haproxy != nil {
		errs = append(errs, e.haproxy.Stop())
	}
	e.api.Stop()
	if e.pods != nil {
		e.pods.close()
	}
	return errors.Join(append(errs, os.RemoveAll(e.dir))...)
}
