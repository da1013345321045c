// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"podgate/daemon/certstore"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/check"
	"podgate/haproxy/runtime"
)

// observeCertificates reads back what HAProxy serves, all of it or what it has
// under some Names. That is told by its fingerprint alone; where that is the
// file's, it is the file.
func (r *Reconciler) observeCertificates(ctx context.Context, session *runtime.Session, names ...string) error {
	if !r.have.Loaded.EndsTLS() {
		r.have.Certificates = nil
		return nil
	}
	observed, err := session.Certificates(ctx, names...)
	if err != nil {
		return err
	}
	known := map[string]haproxy.Certificate{}
	if len(names) > 0 {
		for _, c := range r.have.Certificates {
			known[c.Name] = c
		}
		for _, name := range names {
			delete(known, name)
		}
	}
	for i := range observed {
		c := &observed[i]
		if before, ok := known[c.Name]; ok {
			c.Fingerprint, c.Digest = before.Fingerprint, before.Digest
			continue
		}
		text, err := r.dir.ReadCertificate(c.Name)
		if err == nil && certstore.Fingerprint(text) == c.Fingerprint {
			c.Digest = haproxy.PEM(text).Digest()
		}
	}
	if !reflect.DeepEqual(observed, r.have.Certificates) {
		r.have.Certificates = observed
	}
	return nil
}

// tellCertificateDrift tells where HAProxy has other certificates than we left
// it with, and counts them.
func (r *Reconciler) tellCertificateDrift(before []haproxy.Certificate) (count int) {
	byName := map[string]haproxy.Certificate{}
	for _, c := range before {
		byName[c.Name] = c
	}
	tell := func(name string) {
		r.log.Warn("drift found", "certificate", name)
		count++
	}
	for _, c := range r.have.Certificates {
		if old, ok := byName[c.Name]; !ok || old.Fingerprint != c.Fingerprint || !slices.Equal(old.Serves, c.Serves) {
			tell(c.Name)
		}
		delete(byName, c.Name)
	}
	for name := range byName {
		tell(name)
	}
	return count
}

// writePlannedCertificates puts certificates on disk before HAProxy is told of
// them. It returns what the files held before, nil for one that was not there.
func (r *Reconciler) writePlannedCertificates(plan haproxy.Plan, want haproxy.State) (undo map[string][]byte, err error) {
	if len(plan.Certificates)+len(plan.DropCertificates) == 0 {
		return nil, nil
	}
	undo = map[string][]byte{}
	for _, c := range plan.Certificates {
		name := c.Certificate.Name
		if undo[name], err = r.dir.ReadCertificate(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	crtList, err := cfgfile.RenderCrtList(want, string(r.dir))
	if err != nil {
		return nil, err
	}
	r.writer.Wait()
	return undo, r.dir.WriteCrtList(crtList, r.unwritten(plan, want.Certificates))
}

// unwritten are those certificates that a Plan is about, and those that somebody
// took from our folder. The others were read when HAProxy was.
func (r *Reconciler) unwritten(plan haproxy.Plan, certificates []haproxy.Certificate) []haproxy.Certificate {
	planned := map[string]bool{}
	for _, c := range plan.Certificates {
		planned[c.Certificate.Name] = true
	}
	return slices.DeleteFunc(slices.Clone(certificates), func(c haproxy.Certificate) bool {
		return !planned[c.Name] && r.dir.HasCertificate(c.Name)
	})
}

// settleCertificates has the files follow what became of a Plan: what HAProxy
// refused is as it was, what it no longer has is gone.
func (r *Reconciler) settleCertificates(plan haproxy.Plan, applied runtime.Applied, undo map[string][]byte) error {
	for _, refusal := range applied.Refused {
		c := refusal.Certificate.Certificate
		if c.Name == "" || refusal.Certificate.Op == haproxy.DeleteCertificate {
			continue
		}
		r.vetted.refuse(c, errors.New(refusal.Reply))
		if old := undo[c.Name]; old != nil {
			if err := r.dir.WriteCertificates(map[string][]byte{c.Name: old}); err != nil {
				return err
			}
		}
	}
	if len(plan.Certificates)+len(plan.DropCertificates) == 0 {
		return nil
	}
	has := map[string]bool{}
	for _, c := range r.have.Certificates {
		has[c.Name] = true
	}
	running := r.have.Loaded
	running.Certificates = r.dir.Present(r.have.Certificates)
	crtList, err := cfgfile.RenderCrtList(running, string(r.dir))
	if err != nil {
		return err
	}
	if err := r.dir.WriteCrtList(crtList, nil); err != nil {
		return err
	}
	for _, c := range slices.Concat(plan.DropCertificates, plan.Certificates) {
		if name := c.Certificate.Name; !has[name] {
			if err := r.dir.RemoveCertificate(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepAuthorities writes authorities, whose file names change with their content,
// before anything of HAProxy's names them.
func (r *Reconciler) keepAuthorities(authorities map[string][]byte) error {
	if maps.EqualFunc(r.authorities, authorities, func(_, _ []byte) bool { return true }) {
		return nil
	}
	if err := r.dir.WriteCertificates(authorities); err != nil {
		return fmt.Errorf("write authorities: %w", err)
	}
	r.authorities = authorities
	return nil
}

// tidyCertificates removes files that HAProxy, which has just loaded want, does
// not use.
func (r *Reconciler) tidyCertificates(want haproxy.State) {
	used := map[string]bool{}
	for _, c := range want.Certificates {
		used[c.Name] = true
	}
	for name := range r.authorities {
		used[name] = true
	}
	for _, f := range want.Frontends {
		used[filepath.Base(f.TLS.ClientCA)] = true
	}
	for _, b := range want.Backends.All() {
		used[filepath.Base(b.Options.CAFile)] = true
	}
	for _, name := range r.dir.CertificateNames() {
		if !used[name] {
			if err := r.dir.RemoveCertificate(name); err != nil {
				r.log.Warn("certificate is left behind", "file", name, "err", err)
			}
		}
	}
}

// vetted remembers which certificates HAProxy's own binary would load: with one
// that it would not, it does not start.
type vetted struct {
	good map[string]bool  // by Digest
	bad  map[string]error // by Digest
	// The last answer, for the same question: what stays the same stays one.
	asked, answer []haproxy.Certificate
	refusals      []certstore.Problem
}

func (v *vetted) refuse(c haproxy.Certificate, why error) {
	delete(v.good, c.Digest)
	if v.bad == nil {
		v.bad = map[string]error{}
	}
	v.bad[c.Digest] = why
	v.asked = nil
}

// vet returns want with those certificates that HAProxy would load. In the place
// of one that it would not stands what it has under that Name.
func (r *Reconciler) vet(ctx context.Context, want haproxy.State) haproxy.State {
	v := &r.vetted
	if len(want.Certificates) == 0 {
		v.refusals = nil
		return want
	}
	if v.asked != nil && len(v.asked) == len(want.Certificates) && &v.asked[0] == &want.Certificates[0] {
		return withVetted(want, v.answer)
	}
	if v.good == nil {
		v.good = map[string]bool{}
	}
	var unknown []haproxy.Certificate
	for _, c := range want.Certificates {
		if v.good[c.Digest] || v.bad[c.Digest] != nil {
			continue
		}
		if text, err := r.dir.ReadCertificate(c.Name); err == nil && bytes.Equal(text, c.PEM) {
			v.good[c.Digest] = true
			continue
		}
		unknown = append(unknown, c)
	}
	r.vetAll(ctx, unknown)
	if ctx.Err() != nil {
		return want
	}
	v.asked, v.refusals = want.Certificates, nil
	if !slices.ContainsFunc(want.Certificates, func(c haproxy.Certificate) bool { return v.bad[c.Digest] != nil }) {
		v.answer = want.Certificates
		return want
	}
	v.answer = nil
	for _, c := range want.Certificates {
		if why := v.bad[c.Digest]; why != nil {
			inService, ok := certstore.InService(r.dir.CertificateFolder(), c.Name, c.Source, time.Now())
			text := fmt.Sprintf("HAProxy refuses it: %v; it is not served", why)
			if ok {
				text = fmt.Sprintf("HAProxy refuses it: %v; the one in service stays", why)
			}
			v.refusals = append(v.refusals, certstore.Problem{File: c.Source, Text: text})
			if !ok || v.bad[inService.Digest] != nil {
				continue
			}
			inService.Serves = c.Serves
			c = inService
		}
		v.answer = append(v.answer, c)
	}
	return withVetted(want, v.answer)
}

// shown are those of the wanted certificates that HAProxy's binary would load, and
// what is in service in the place of the others.
func (r *Reconciler) shown() []haproxy.Certificate {
	chosen := r.chosen
	if v := r.vetted; len(chosen) > 0 && len(v.asked) == len(chosen) && &v.asked[0] == &chosen[0] {
		return v.answer
	}
	return chosen
}

// withVetted is want with these certificates, and with a default one only if that
// is among them.
func withVetted(want haproxy.State, vetted []haproxy.Certificate) haproxy.State {
	want.Certificates = vetted
	fallback := want.DefaultCertificate()
	if fallback != "" && !slices.ContainsFunc(vetted, func(c haproxy.Certificate) bool { return c.Name == fallback }) {
		return want.WithoutDefaultCertificate()
	}
	return want
}

// vetAll asks HAProxy of all, and of halves where it refuses some.
func (r *Reconciler) vetAll(ctx context.Context, certificates []haproxy.Certificate) {
	if len(certificates) == 0 || ctx.Err() != nil {
		return
	}
	err := r.haproxy.Certificates(ctx, string(r.dir), certificates)
	var refused *check.RejectedError
	switch {
	case err == nil:
		for _, c := range certificates {
			r.vetted.good[c.Digest] = true
		}
	case !errors.As(err, &refused): // nobody knows; HAProxy itself will say
		r.log.Warn("certificates are not checked", "err", err)
	case len(certificates) == 1:
		r.vetted.refuse(certificates[0], errors.New(refused.Output))
	default:
		half := len(certificates) / 2
		r.vetAll(ctx, certificates[:half])
		r.vetAll(ctx, certificates[half:])
	}
}
