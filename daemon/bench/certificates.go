// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"podgate/haproxy/cfgfile"
	"podgate/haproxy/haproxytest"
)

const (
	startTrials   = 5
	renewalTrials = 10
	// renewalPause is between two renewals.
	renewalPause = time.Second
	// handshakeRate is how many handshakes a second are asked for.
	handshakeRate = 2000
)

// host is the name by which a Service is reached in TLS.
func host(service string) string { return service + ".test" }

// certificates is the folder that podgate.toml names.
func (e *edge) certificates() string { return filepath.Join(e.dir, "certificates") }

// certify writes a certificate for each Service.
func (e *edge) certify() error {
	if !e.tls {
		return nil
	}
	if err := os.Mkdir(e.certificates(), 0o700); err != nil {
		return err
	}
	for i := range e.services {
		text, err := certificate(serviceName(i))
		if err != nil {
			return err
		}
		if err := e.putCertificate(serviceName(i), text); err != nil {
			return err
		}
	}
	return nil
}

// certificate is a new one with an ECDSA key, as certbot makes them.
func certificate(service string) ([]byte, error) {
	now := time.Now()
	return haproxytest.SelfSigned(now.Add(-time.Hour), now.Add(90*24*time.Hour), host(service))
}

// putCertificate writes the certificate of a Service as a careful writer does.
func (e *edge) putCertificate(service string, text []byte) error {
	path := filepath.Join(e.certificates(), service+".pem")
	return errors.Join(os.WriteFile(path+".new", text, 0o600), os.Rename(path+".new", path))
}

// certificatesStart is how long HAProxy takes to start with what podgate has
// written, beside a bare HAProxy that loads the same crt-list; and how long a
// podgate takes that finds all in order. Its first start, at which HAProxy has
// none of the certificates, is start_to_in_step_ms.
func certificatesStart(ctx context.Context, e *edge) (line, error) {
	if err := e.podgate.stop(); err != nil {
		return nil, err
	}
	listen, err := e.haproxy.FreeAddr()
	if err != nil {
		return nil, err
	}
	bare, err := haproxytest.Start(ctx, haproxytest.Options{Files: map[string][]byte{
		"yardstick.cfg": fmt.Appendf(nil, "frontend yardstick\n  bind %s ssl crt-list %s strict-sni\n  http-request return status 200\n", listen, filepath.Join(e.haproxy.Folder, cfgfile.CrtListFile)),
	}})
	if err != nil {
		return nil, err
	}
	defer bare.Stop()
	var times, yardstick []time.Duration
	for range startTrials { // in turns, as the machine may have other things to do
		for _, h := range []struct {
			*haproxytest.HAProxy
			addr  netip.AddrPort
			times *[]time.Duration
		}{{e.haproxy, e.https, &times}, {bare, listen, &yardstick}} {
			took, err := e.startAgain(ctx, h.HAProxy, h.addr)
			if err != nil {
				return nil, err
			}
			*h.times = append(*h.times, took)
		}
	}
	var again []time.Duration
	for range startTrials {
		took, err := e.podgateAgain(ctx)
		if err != nil {
			return nil, err
		}
		again = append(again, took)
	}
	ratio := percentile(slices.Sorted(slices.Values(times)), 50).Seconds() / percentile(slices.Sorted(slices.Values(yardstick)), 50).Seconds()
	return slices.Concat(line{{"certificates", e.services}}, figures("", times), figures("yardstick_", yardstick), line{{"to_yardstick", round(ratio)}}, figures("podgate_again_", again)), nil
}

// startAgain is how long an HAProxy takes from its start until it shows the last
// certificate.
func (e *edge) startAgain(ctx context.Context, h *haproxytest.HAProxy, addr netip.AddrPort) (time.Duration, error) {
	if err := h.KillMaster(); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := h.Restart(ctx); err != nil {
		return 0, err
	}
	name := host(serviceName(e.services - 1))
	shown, err := handshake(ctx, addr, name)
	took := time.Since(began)
	if err == nil && shown.VerifyHostname(name) != nil {
		err = fmt.Errorf("%s shows the certificate of %v", name, shown.DNSNames)
	}
	return took, err
}

// podgateAgain starts podgate again, and returns how long it took until that was
// in step.
func (e *edge) podgateAgain(ctx context.Context) (time.Duration, error) {
	if err := e.podgate.stop(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, inStepTimeout)
	defer cancel()
	began := time.Now()
	var err error
	if e.podgate, err = startPodgate(e.podgate.cmd.Path, filepath.Join(e.dir, "podgate.toml"), filepath.Join(e.dir, "log")); err != nil {
		return 0, err
	}
	for !e.isInStep(ctx) {
		if !pause(ctx, 2*time.Millisecond) {
			return 0, fmt.Errorf("podgate is not in step: %w", context.Cause(ctx))
		}
	}
	took := time.Since(began)
	if n := e.podgate.reloads(); n != 0 {
		return 0, fmt.Errorf("podgate reloaded HAProxy %d times although nothing had changed", n)
	}
	return took, nil
}

func (e *edge) isInStep(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.admin.String()+"/api/v1/status?services=0&changes=0", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return err == nil && bytes.Contains(text, []byte(`"in_step":true`))
}

// certificateRenewed renews one certificate among all, again and again, while
// clients ask for handshakes: from the rename of its file until no handshake
// that begins later shows the old one. The yardstick is the same over HAProxy's
// socket by hand, under the same load, after podgate has ended. What a handshake
// takes of a processor, of the clients and of HAProxy, tells who limits how many
// there are.
func certificateRenewed(ctx context.Context, e *edge) (line, error) {
	before := e.podgate.reloads()
	service := serviceName(e.services / 2)
	process, err := e.runtime.Process(ctx)
	if err != nil {
		return nil, err
	}
	cost, err := beginCost(process.Pid)
	if err != nil {
		return nil, err
	}
	load := e.startHandshakes(service)
	times, err := e.renewals(ctx, load, service, e.putCertificate)
	met, stopErr := load.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return nil, err
	}
	costs, err := cost.end(met.done)
	if err != nil {
		return nil, err
	}
	reloads := e.podgate.reloads() - before
	if err := e.podgate.stop(); err != nil {
		return nil, err
	}
	load = e.startHandshakes(service)
	yardstick, err := e.renewals(ctx, load, service, e.commitCertificate)
	bare, stopErr := load.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return nil, err
	}
	return slices.Concat(
		line{{"certificates", e.services}}, figures("", times), figures("yardstick_", yardstick),
		line{{"handshakes", met.done}, {"failed", met.failed}, {"failure", met.failure}, {"asked_per_s", handshakeRate}, {"handshakes_per_s", round(met.rate())}},
		figures("handshake_", met.times), costs,
		line{{"yardstick_handshakes_per_s", round(bare.rate())}, {"yardstick_failed", bare.failed}, {"reloads", reloads}},
	), nil
}

// renewals renews the certificate of a Service again and again, and returns how
// long it took each time.
func (e *edge) renewals(ctx context.Context, load *handshakes, service string, put func(string, []byte) error) ([]time.Duration, error) {
	var times []time.Duration
	for range renewalTrials {
		if !pause(ctx, renewalPause) {
			return nil, context.Cause(ctx)
		}
		text, err := certificate(service)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		load.expect(text)
		if err := put(service, text); err != nil {
			return nil, err
		}
		last, err := load.lastOld(ctx)
		if err != nil {
			return nil, err
		}
		times = append(times, last.Sub(began))
	}
	return times, nil
}

// commitCertificate gives HAProxy the certificate of a Service by hand.
func (e *edge) commitCertificate(service string, text []byte) error {
	paths, err := filepath.Glob(filepath.Join(e.haproxy.Folder, cfgfile.CertificateFolder, service+"-*.pem"))
	if err != nil || len(paths) != 1 {
		return fmt.Errorf("%d files of %s: %w", len(paths), service, err)
	}
	if _, err := e.command("set ssl cert " + paths[0] + " <<\n" + string(text)); err != nil {
		return err
	}
	reply, err := e.command("commit ssl cert " + paths[0])
	if err == nil && !bytes.Contains([]byte(reply), []byte("Success!")) {
		err = fmt.Errorf("HAProxy answers %q", reply)
	}
	return err
}
