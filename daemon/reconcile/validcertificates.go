// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/check"
)

// Rejection is a certificate that the haproxy binary does not load.
type Rejection struct {
	Source string // where the certificate is from: a file, or "Secret shop/tls"
	Reason string // HAProxy's message, and whether another one is served in its place
}

// validated is which certificates the haproxy binary loads. HAProxy does not start
// with one that it does not load.
type validated struct {
	good  map[string]bool   // by Digest
	bad   map[string]string // by Digest: HAProxy's message
	until map[string]retry  // by Digest: certificates in bad that only the process rejected
	// The argument and the result of the last withValidCertificates: the same list has
	// the same result.
	argument, result []haproxy.Certificate
	rejected         []Rejection
}

// reject records HAProxy's message about a certificate that it does not load.
func (v *validated) reject(digest, reason string) {
	delete(v.good, digest)
	v.bad[digest] = reason
	v.argument = nil
}

// retry is when a certificate is valid again that the process rejected.
type retry struct {
	at    time.Time
	pause time.Duration // that ends then
}

// maxRetryPause is the longest time between two attempts to load a certificate.
const maxRetryPause = time.Hour

// rejectForNow is reject for a certificate that the process did not accept at run time
// although haproxy -c loads it: the cause may end. The pause grows with each rejection.
func (v *validated) rejectForNow(now time.Time, digest, reason string) {
	v.reject(digest, reason)
	if v.until == nil {
		v.until = map[string]retry{}
	}
	pause := retryPause
	if before, again := v.until[digest]; again {
		pause = min(2*before.pause, maxRetryPause)
	}
	v.until[digest] = retry{now.Add(pause), pause}
}

// forgive makes the certificates valid that are to be tried again.
func (v *validated) forgive(now time.Time) {
	for digest, r := range v.until {
		if _, bad := v.bad[digest]; bad && now.After(r.at) {
			delete(v.bad, digest)
			v.argument = nil
		}
	}
}

// last returns the last result, if that was for these certificates; else it returns the
// certificates and false.
func (v *validated) last(certificates []haproxy.Certificate) ([]haproxy.Certificate, bool) {
	if !haproxy.Same(v.argument, certificates) || len(certificates) == 0 {
		return certificates, false
	}
	return v.result, true
}

// withValidCertificates returns want with the certificates that HAProxy loads. It
// replaces a certificate that HAProxy does not load by the one in service under that
// Name, if there is one.
func (r *Reconciler) withValidCertificates(ctx context.Context, want haproxy.State) haproxy.State {
	v := &r.validated
	if len(want.Certificates) == 0 {
		v.rejected = nil
		return want
	}
	v.forgive(r.now())
	if result, known := v.last(want.Certificates); known {
		return withCertificates(want, result)
	}
	r.validateCertificates(ctx, r.unknown(want.Certificates))
	if ctx.Err() != nil {
		return want
	}
	v.rejected = nil
	result := want.Certificates
	if slices.ContainsFunc(want.Certificates, v.isBad) {
		result = r.replaceBad(ctx, want.Certificates)
	}
	v.argument, v.result = want.Certificates, result
	return withCertificates(want, result)
}

func (v *validated) isBad(c haproxy.Certificate) bool {
	_, bad := v.bad[c.Digest]
	return bad
}

// replaceBad returns the certificates with each bad one replaced by the one in service,
// if there is one. It records each bad one as a Rejection.
func (r *Reconciler) replaceBad(ctx context.Context, certificates []haproxy.Certificate) (good []haproxy.Certificate) {
	for _, c := range certificates {
		if !r.validated.isBad(c) {
			good = append(good, c)
			continue
		}
		end := "it is not served"
		if old, ok := r.inService(ctx, c); ok {
			good, end = append(good, old), "the one in service stays"
		}
		r.validated.rejected = append(r.validated.rejected, Rejection{c.Source, fmt.Sprintf("HAProxy rejects it: %s; %s", r.validated.bad[c.Digest], end)})
	}
	return good
}

// inService is the certificate that is in service under the Name of c, if HAProxy loads it.
// One that only the process rejected, when podgate sent it again, stays in service.
func (r *Reconciler) inService(ctx context.Context, c haproxy.Certificate) (haproxy.Certificate, bool) {
	text, err := r.dir.ReadCertificate(c.Name)
	if err != nil {
		return haproxy.Certificate{}, false
	}
	old := haproxy.Certificate{Name: c.Name, Source: c.Source, Serves: c.Serves, PEM: text}
	leaf, err := old.PEM.Leaf()
	if err != nil {
		return haproxy.Certificate{}, false
	}
	old.Names, old.Algorithm, old.NotBefore, old.NotAfter = leaf.DNSNames, leaf.PublicKeyAlgorithm.String(), leaf.NotBefore, leaf.NotAfter
	old.Digest, old.Fingerprint = old.PEM.Digest(), old.PEM.Fingerprint()
	if !r.validated.good[old.Digest] && !r.validated.isBad(old) {
		r.validateCertificates(ctx, []haproxy.Certificate{old})
	}
	_, byProcess := r.validated.until[old.Digest]
	return old, !r.validated.isBad(old) || byProcess && r.serves(old)
}

// unknown returns the certificates that are not validated yet. HAProxy has loaded a
// certificate before if podgate's folder contains the same file.
func (r *Reconciler) unknown(certificates []haproxy.Certificate) (unknown []haproxy.Certificate) {
	v := &r.validated
	for _, c := range certificates {
		if v.good[c.Digest] || v.isBad(c) {
			continue
		}
		if text, err := r.dir.ReadCertificate(c.Name); err == nil && bytes.Equal(text, c.PEM) {
			v.good[c.Digest] = true
			continue
		}
		unknown = append(unknown, c)
	}
	return unknown
}

// validateCertificates has the haproxy binary load the certificates, and smaller and
// smaller parts of those that it rejects.
func (r *Reconciler) validateCertificates(ctx context.Context, certificates []haproxy.Certificate) {
	bisect(certificates, func(some []haproxy.Certificate) error {
		if ctx.Err() != nil {
			return nil
		}
		err := r.haproxy.Certificates(ctx, string(r.dir), some)
		var rejected *check.RejectedError
		switch {
		case errors.As(err, &rejected):
			return errors.New(rejected.Output)
		case err != nil: // HAProxy rejects a bad certificate itself
			r.log.Warn("certificates are loaded without a prior haproxy -c", "err", err)
			return nil
		}
		for _, c := range some {
			r.validated.good[c.Digest] = true
		}
		return nil
	}, func(c haproxy.Certificate, err error) {
		r.validated.reject(c.Digest, err.Error())
		delete(r.validated.until, c.Digest)
	})
}

// withCertificates returns want with these certificates, and with a default one
// only if that is among them.
func withCertificates(want haproxy.State, certificates []haproxy.Certificate) haproxy.State {
	want.Certificates = certificates
	fallback := want.DefaultCertificate()
	if fallback != "" && !slices.ContainsFunc(certificates, func(c haproxy.Certificate) bool { return c.Name == fallback }) {
		return want.WithoutDefaultCertificate()
	}
	return want
}
