// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"podgate/daemon/config"
	"podgate/daemon/dryrun"
	"podgate/daemon/edgetest"
	"podgate/haproxy"
)

// backInSync is how long podgate may take after a fault: it retries a reload that
// could not be verified after a minute.
const backInSync = 90 * time.Second

// inSync waits until HAProxy serves what the cluster holds: each Service has its
// pods and no other servers, and answers from one of them; a Service that was
// removed does not answer; and podgate's own comparison finds no difference in
// process and files.
func (e *edge) inSync(ctx context.Context) (recovery, error) {
	began := time.Now()
	var r recovery
	for {
		serves, err := e.compare(ctx)
		r.whole = time.Since(began)
		switch {
		case !serves:
			r.served = 0
		case r.served == 0:
			r.served = r.whole
		}
		if err == nil || ctx.Err() != nil {
			return r, nil
		}
		if r.whole > backInSync {
			return r, fmt.Errorf("not in sync within %s: %w", backInSync, err)
		}
		r.waitedFor = err.Error()
		edgetest.Pause(ctx, 50*time.Millisecond)
	}
}

// recovery is how long an edge took after a fault.
type recovery struct {
	served    time.Duration // until every Service had its pods and answered
	whole     time.Duration // until there was no difference
	waitedFor string        // the last difference; "" for none
}

// compare reports whether HAProxy serves what it should, and the first difference,
// which may be no more than a server that is yet to be deleted.
func (e *edge) compare(ctx context.Context) (serves bool, err error) {
	if err := e.compareServing(ctx); err != nil {
		return false, err
	}
	c, err := config.Load(e.TOML)
	if err != nil {
		return true, err
	}
	// This comparison does not use the proxies.
	c.Kubernetes.Servers = []string{e.Cluster.URL()}
	c.HAProxy.AdminSocket, c.HAProxy.MasterSocket = e.HAProxy.Admin, e.HAProxy.Master
	differences, err := dryrun.Diff(ctx, c, "chaos", nil)
	if err == nil && len(differences) > 0 {
		err = fmt.Errorf("%d differences, the first: %s", len(differences), differences[0])
	}
	return true, err
}

func (e *edge) compareServing(ctx context.Context) error {
	served, err := e.Runtime.OwnServers(ctx, nil)
	if err != nil {
		return err
	}
	for i := range services {
		if err := e.compareService(i, served["shop_"+serviceName(i)+"_80"]); err != nil {
			return err
		}
	}
	for i := range services {
		if err := e.askOnce(i); err != nil {
			return err
		}
	}
	return nil
}

// compareService compares the servers that take requests.
func (e *edge) compareService(i int, servers []haproxy.Server) error {
	var have, want []string
	for _, s := range servers {
		if s.State == haproxy.Ready {
			have = append(have, s.Addr.Addr().String())
		}
	}
	for _, n := range slices.Sorted(maps.Keys(e.wanted[i])) {
		want = append(want, podAddr(i, n).String())
	}
	if !slices.Equal(have, want) {
		return fmt.Errorf("servers of %s: have %s, want %s", serviceName(i), have, want)
	}
	return nil
}

// askOnce sends a request to one Service. The last one may have a TCP port instead of a
// path.
func (e *edge) askOnce(i int) error {
	err := edgetest.Ask(e.target(i))
	_, exists := e.wanted[i]
	switch {
	case exists && (err == nil || i == services-1 && errors.Is(err, edgetest.StatusError(http.StatusNotFound))):
		return nil
	case !exists && errors.Is(err, edgetest.StatusError(http.StatusNotFound)):
		return nil
	case !exists && err == nil:
		return fmt.Errorf("%s answers although it does not exist", serviceName(i))
	case !exists && e.evil && errors.Is(err, edgetest.StatusError(http.StatusServiceUnavailable)):
		return nil // a Service of evilNamespace may have the path now, and has no pods
	}
	return err
}
