// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// handshakeClients are enough to keep as many handshakes under way as HAProxy
// can do at once.
const handshakeClients = 16

// handshakes are TLS clients that never stop, each of whose connections is a full
// handshake: none resumes a session. One in ten asks for the host whose
// certificate is renewed, the others for all hosts in turn.
type handshakes struct {
	e       *edge
	renewed string        // host
	quit    chan struct{} // closed by stop
	clients sync.WaitGroup
	began   time.Time

	mu   sync.Mutex
	want []byte    // the certificate of the renewed host, DER; nil for any
	last time.Time // when the last handshake began that did not show it
	seen bool      // it was shown
	met  metHandshakes
}

// metHandshakes is what the clients met.
type metHandshakes struct {
	done    int
	failed  int
	failure string // the last; "" for none
	times   []time.Duration
	took    time.Duration // of all of it
}

func (m metHandshakes) rate() float64 { return float64(m.done) / m.took.Seconds() }

func (e *edge) startHandshakes(service string) *handshakes {
	h := &handshakes{e: e, renewed: host(service), quit: make(chan struct{}), began: time.Now()}
	for i := range handshakeClients {
		h.clients.Go(func() { h.work(i) })
	}
	return h
}

// work does every n-th handshake when it is due, or as soon as it can.
func (h *handshakes) work(n int) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ; ; n += handshakeClients {
		timer.Reset(time.Until(h.began.Add(time.Duration(n) * time.Second / handshakeRate)))
		select {
		case <-timer.C:
		case <-h.quit:
			return
		}
		name := host(serviceName(n % h.e.services))
		if n%10 == 0 {
			name = h.renewed
		}
		began := time.Now()
		shown, err := handshake(context.Background(), h.e.https, name)
		if err == nil && shown.VerifyHostname(name) != nil {
			err = fmt.Errorf("%s shows the certificate of %v", name, shown.DNSNames)
		}
		h.count(name, began, shown, err)
	}
}

func (h *handshakes) count(name string, began time.Time, shown *x509.Certificate, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.met.done++
	h.met.times = append(h.met.times, time.Since(began))
	switch {
	case err != nil:
		h.met.failed++
		h.met.failure = err.Error()
	case name != h.renewed || h.want == nil:
	case bytes.Equal(shown.Raw, h.want):
		h.seen = true
	case began.After(h.last):
		h.last = began
	}
}

// expect has the renewed host show a certificate from now on.
func (h *handshakes) expect(text []byte) {
	block, _ := pem.Decode(text)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.want, h.last, h.seen = block.Bytes, time.Now(), false
}

// lastOld waits until the expected certificate is shown, and by all who ask for
// it a while later, and returns when the last handshake began that did not show
// it.
func (h *handshakes) lastOld(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for {
		h.mu.Lock()
		last, seen := h.last, h.seen
		h.mu.Unlock()
		if seen && time.Since(last) > time.Second {
			return last, nil
		}
		if !pause(ctx, 10*time.Millisecond) {
			return last, fmt.Errorf("the new certificate is not shown: %w", context.Cause(ctx))
		}
	}
}

// stop ends the clients, each behind its handshake, and returns what they met.
func (h *handshakes) stop() (metHandshakes, error) {
	close(h.quit)
	h.clients.Wait()
	h.met.took = time.Since(h.began)
	if h.met.done == 0 {
		return h.met, errors.New("no handshake was done")
	}
	return h.met, nil
}

// handshake is one full handshake, up to the end of the connection, by which
// HAProxy has done its part too. It returns the certificate that was shown. The
// key exchange is X25519 on all versions: else the client would make a key of
// ML-KEM as well, in vain where HAProxy's library does not know it.
func handshake(ctx context.Context, addr netip.AddrPort, name string) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{ServerName: name, InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}})
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	shown := conn.ConnectionState().PeerCertificates[0]
	if err := conn.CloseWrite(); err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, conn)
	return shown, err
}

// cost is what handshakes take of the processors.
type cost struct {
	pid             int // HAProxy's worker
	haproxy, client time.Duration
}

func beginCost(pid int) (cost, error) {
	c := cost{pid: pid}
	var err error
	c.haproxy, c.client, err = c.now()
	return c, err
}

func (c cost) now() (haproxy, client time.Duration, err error) {
	if haproxy, err = cpuOf(c.pid); err != nil {
		return 0, 0, err
	}
	var u syscall.Rusage
	err = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return haproxy, time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// end tells what one of n handshakes took.
func (c cost) end(n int) (line, error) {
	haproxy, client, err := c.now()
	each := func(d time.Duration) float64 { return round(float64(d.Microseconds()) / float64(n)) }
	return line{{"haproxy_cpu_us_each", each(haproxy - c.haproxy)}, {"client_cpu_us_each", each(client - c.client)}}, err
}
