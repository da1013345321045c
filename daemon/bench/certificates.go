// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"podgate/haproxy/cfgfile"
	"podgate/haproxy/haproxytest"
)

const (
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
	if e.tls == noTLS {
		return nil
	}
	if err := os.Mkdir(e.certificates(), 0o700); err != nil {
		return err
	}
	for i := range e.services {
		text, err := e.certificate(serviceName(i))
		if err != nil {
			return err
		}
		if err := e.putCertificate(serviceName(i), text); err != nil {
			return err
		}
	}
	return nil
}

// certificate is a new one for a Service.
func (e *edge) certificate(service string) ([]byte, error) {
	key, err := e.keys.next(e.tls)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return haproxytest.SelfSigned(key, now.Add(-time.Hour), now.Add(90*24*time.Hour), host(service))
}

// putCertificate writes the certificate of a Service as a careful writer does.
func (e *edge) putCertificate(service string, text []byte) error {
	path := filepath.Join(e.certificates(), service+".pem")
	return errors.Join(os.WriteFile(path+".new", text, 0o600), os.Rename(path+".new", path))
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
		line{{"certificates", e.services}, {"key", e.tls}}, figures("", times), figures("yardstick_", yardstick),
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
		text, err := e.certificate(service)
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
