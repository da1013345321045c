// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"podgate/daemon"
	"podgate/daemon/config"
	"podgate/haproxy"
)

// backInSync is how long podgate may take after a fault is over. A reload that
// could not be verified is tried again after a minute.
const backInSync = 90 * time.Second

// inSync waits until HAProxy serves what the cluster says: each Service that is
// there has its pods and no others, is reached, and reaches none but them; one
// that is not, is not; and podgate's own comparison, of process and files, finds
// no difference.
func (t *town) inSync(ctx context.Context) (recovery, error) {
	began := time.Now()
	var r recovery
	for {
		serves, err := t.compare(ctx)
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
			return r, fmt.Errorf("out of sync within %s: %w", backInSync, err)
		}
		r.waitedFor = err.Error()
		pause(ctx, 50*time.Millisecond)
	}
}

// recovery is how long an edge took after a fault.
type recovery struct {
	served    time.Duration // until every Service had its pods and was reached
	whole     time.Duration // until there was no difference at all
	waitedFor string        // the last difference; "" for none
}

// compare reports whether HAProxy serves what it should, and what is not as it
// should be, if only that servers which left are yet to be deleted.
func (t *town) compare(ctx context.Context) (serves bool, err error) {
	if err := t.compareServing(ctx); err != nil {
		return false, err
	}
	c, err := config.Load(t.toml)
	if err != nil {
		return true, err
	}
	// Past what stands before them.
	c.Kubernetes.Servers = []string{t.api.URL()}
	c.HAProxy.AdminSocket, c.HAProxy.MasterSocket = t.haproxy.Admin, t.haproxy.Master
	differences, err := daemon.Differences(ctx, c, "chaos", nil)
	if err == nil && len(differences) > 0 {
		err = fmt.Errorf("%d differences, the first: %s", len(differences), differences[0])
	}
	return true, err
}

func (t *town) compareServing(ctx context.Context) error {
	served, err := t.runtime.Servers(ctx, nil)
	if err != nil {
		return err
	}
	for i := range services {
		if err := t.compareService(i, served["shop_"+serviceName(i)+"_80"]); err != nil {
			return err
		}
	}
	for i := range services {
		if err := t.askOnce(i); err != nil {
			return err
		}
	}
	return nil
}

// compareService looks at the servers that take requests.
func (t *town) compareService(i int, servers []haproxy.Server) error {
	var have, want []string
	for _, s := range servers {
		if s.State == haproxy.Ready {
			have = append(have, s.Addr.Addr().String())
		}
	}
	for _, n := range slices.Sorted(maps.Keys(t.wanted[i])) {
		want = append(want, podAddr(i, n).String())
	}
	if !slices.Equal(have, want) {
		return fmt.Errorf("servers of %s: have %s, want %s", serviceName(i), have, want)
	}
	return nil
}

// askOnce asks for one Service. The last may be at a TCP port and not at its
// path.
func (t *town) askOnce(i int) error {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	err := t.ask(&client, i)
	var status statusError
	_, there := t.wanted[i]
	switch {
	case there && (err == nil || i == services-1 && errors.As(err, &status) && status == http.StatusNotFound):
		return nil
	case !there && errors.As(err, &status) && status == http.StatusNotFound:
		return nil
	case !there && err == nil:
		return fmt.Errorf("%s is answered and is not there", serviceName(i))
	case !there && errors.As(err, &status) && status == http.StatusServiceUnavailable:
		// Somebody else of that name may have the path now, and has no pods.
		if t.evil && strings.HasPrefix(serviceName(i), "s") {
			return nil
		}
	}
	return err
}
