// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"podgate/daemon"
	"podgate/daemon/admin"
	"podgate/daemon/config"
	"podgate/haproxy/haproxytest"
)

// The ports of the edge, where they are free.
const (
	httpPort  = 8080
	tcpPort   = 9000
	adminPort = 9180
)

// edge is the box at the edge of the cluster: HAProxy, and podgate beside it.
type edge struct {
	haproxy *haproxytest.HAProxy
	http    netip.AddrPort // HAProxy's HTTP frontend
	tcp     uint16         // the one port that Services may ask for
	admin   netip.AddrPort // podgate's status page
	socket  string         // podgate's control socket
	toml    string         // path of podgate.toml
	log     *os.File       // podgate's
	claims  []net.Listener // of ports that another demo leaves alone

	cancel  context.CancelFunc // ends podgate
	running sync.WaitGroup
	err     error // of podgate, after running
}

// startEdge starts HAProxy, and podgate with its files in folder. Both run until
// stop, whatever becomes of ctx.
func startEdge(ctx context.Context, folder, server string, d *demo) (*edge, error) {
	haproxy, err := haproxytest.Start(ctx, haproxytest.Options{})
	if err != nil {
		return nil, fmt.Errorf("start HAProxy: %w", err)
	}
	e := &edge{haproxy: haproxy, toml: filepath.Join(folder, "podgate.toml"), cancel: func() {}}
	if err := e.startPodgate(ctx, folder, server, d); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	return e, nil
}

func (e *edge) startPodgate(ctx context.Context, folder, server string, d *demo) error {
	c, err := e.configure(server)
	if err != nil {
		return err
	}
	if e.log, err = os.Create(filepath.Join(folder, "podgate.log")); err != nil {
		return err
	}
	passes := make(chan daemon.Pass) // closed when podgate has ended
	log := newLogger(e.log, d.screen)
	podgate := &daemon.Daemon{
		ConfigFile: e.toml,
		Config:     c,
		Version:    d.Version,
		Log:        log,
		Passes:     passes,
		Admin:      admin.New(c.Admin, log),
	}
	ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	e.running.Go(func() {
		defer close(passes)
		e.err = podgate.Run(ctx)
	})
	e.running.Go(func() {
		for p := range passes {
			d.tally.pass(p)
			if len(p.Reload) > 0 {
				d.screen.tell(fmt.Sprintf("reload: %s (%v)", strings.Join(p.Reload, ", "), p.Took.Round(time.Millisecond)))
			}
		}
	})
	return nil
}

// configure writes podgate.toml and reads it as podgate would.
func (e *edge) configure(server string) (*config.Config, error) {
	var err error
	if e.http, err = e.freePort(httpPort); err != nil {
		return nil, err
	}
	tcp, err := e.freePort(tcpPort)
	if err != nil {
		return nil, err
	}
	e.tcp = tcp.Port()
	if e.admin, err = e.freePort(adminPort); err != nil {
		return nil, err
	}
	e.socket = filepath.Join(filepath.Dir(e.toml), "podgate.sock")
	relay, err := e.haproxy.FreeAddr()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`[kubernetes]
server = %q
namespaces = [%q]
poll_interval = "1s"

%serror_files = ""
reload_interval = "1s"

[http]
bind = [%q]
relay = %q

[tcp]
addresses = [%q]
allowed_ports = [%d]

[admin]
listen = [%q]
socket = %q
history = %q
`, server, namespace, e.haproxy.Section(), e.http, relay, e.http.Addr(), e.tcp, e.admin, e.socket, filepath.Join(filepath.Dir(e.toml), "history.json"))
	if err := os.WriteFile(e.toml, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return config.Load(e.toml)
}

// freePort returns an address of this machine on which nobody listens, with that
// port if it can be: where no demo, this one among them, has claimed it and is yet
// to listen. Other ports are below those that the kernel gives to clients.
func (e *edge) freePort(port uint16) (netip.AddrPort, error) {
	const from, to, most = 20_000, 32_000, 100
	var errs []error
	for range most {
		addr, err := e.claim(port)
		if err == nil {
			return addr, nil
		}
		errs = append(errs, err)
		port = from + rand.N[uint16](to-from)
	}
	return netip.AddrPort{}, fmt.Errorf("no free port: %w", errors.Join(errs[:3]...))
}

// claim returns the address with that port, which no other demo takes then.
func (e *edge) claim(port uint16) (netip.AddrPort, error) {
	claim, err := net.Listen("unix", fmt.Sprintf("@podgate-demo-%d", port))
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, err := isFree(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
	if err != nil {
		return netip.AddrPort{}, errors.Join(err, claim.Close())
	}
	e.claims = append(e.claims, claim)
	return addr, nil
}

// unclaim leaves the ports to other demos.
func (e *edge) unclaim() {
	for _, claim := range e.claims {
		claim.Close()
	}
	e.claims = nil
}

// isFree returns addr, or with any port for zero, where nobody listens on it.
func isFree(addr netip.AddrPort) (netip.AddrPort, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return netip.AddrPort{}, err
	}
	return l.Addr().(*net.TCPAddr).AddrPort(), l.Close()
}

// newLogger writes everything to file, and to the screen what an operator must
// see.
func newLogger(file *os.File, s *screen) *slog.Logger {
	timeless := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	return slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(file, nil),
		slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: timeless}),
	))
}

// stop ends podgate, then HAProxy. The error is why podgate could not begin, or
// what is left behind.
func (e *edge) stop() error {
	e.cancel()
	e.running.Wait()
	if e.log != nil {
		e.log.Close()
	}
	defer e.unclaim()
	return errors.Join(e.err, e.haproxy.Stop())
}
