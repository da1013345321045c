// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"podgate/daemon"
	"podgate/daemon/edgetest"
)

// The ports of the edge, if they are free.
const (
	httpPort  = 8080
	tcpPort   = 9000
	adminPort = 9180
)

// edge is the edge of the demo, with ports that a user can remember.
type edge struct {
	*edgetest.Edge
	ports ports
	tcp   netip.AddrPort // the one TCP port that Services may use
	admin netip.AddrPort // podgate's status page
	log   *os.File       // podgate's
}

// startEdge starts HAProxy and podgate, until stop.
func startEdge(ctx context.Context, c *edgetest.Cluster, d *demo) (*edge, error) {
	e := new(edge)
	if err := e.start(ctx, c, d); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	return e, nil
}

func (e *edge) start(ctx context.Context, c *edgetest.Cluster, d *demo) error {
	http, err := e.ports.claim(httpPort)
	if err != nil {
		return err
	}
	if e.tcp, err = e.ports.claim(tcpPort); err != nil {
		return err
	}
	if e.admin, err = e.ports.claim(adminPort); err != nil {
		return err
	}
	if e.Edge, err = edgetest.OpenEdge(ctx, c, edgetest.Options{HTTP: http}); err != nil {
		return fmt.Errorf("start HAProxy: %w", err)
	}
	if e.log, err = os.Create(filepath.Join(e.Folder, "podgate.log")); err != nil {
		return err
	}
	e.Handler, e.Passed = newLog(e.log, d.screen), d.passed
	e.Prepare = func(p *daemon.Daemon) { p.Version = d.Version }
	e.Set("kubernetes.poll_interval", time.Second)
	e.Set("haproxy.reload_interval", time.Second)
	e.Set("tcp.addresses", []string{e.tcp.Addr().String()})
	e.Set("tcp.allowed_ports", []int{int(e.tcp.Port())})
	e.Set("admin.listen", []string{e.admin.String()})
	return errors.Join(e.Configure(""), e.Start())
}

// passed counts and shows what podgate did.
func (d *demo) passed(p daemon.Pass) {
	d.tally.pass(p)
	if len(p.Reload) > 0 {
		d.screen.event(fmt.Sprintf("reload: %s (%v)", p.Reload.String(), p.Took.Round(time.Millisecond)))
	}
}

// newLog writes everything to file, and warnings and errors to the screen.
func newLog(file *os.File, s *screen) slog.Handler {
	timeless := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	return slog.NewMultiHandler(
		slog.NewTextHandler(file, nil),
		slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: timeless}),
	)
}

// stop ends podgate, then HAProxy, and removes their files. It returns the errors of
// podgate and of the removal.
func (e *edge) stop() error {
	var errs []error
	if e.Edge != nil {
		errs = append(errs, e.Close())
	}
	if e.log != nil {
		errs = append(errs, e.log.Close())
	}
	e.ports.release()
	return errors.Join(errs...)
}
