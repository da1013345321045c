// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
func (e *edge) observeCertificates(ctx context.Context, session *runtime.Session, names ...string) error {
	if !e.have.Loaded.EndsTLS() {
		e.have.Certificates = nil
		return nil
	}
	observed, err := session.Certificates(ctx, names...)
	if err != nil {
		return err
	}
	known := map[string]haproxy.Certificate{}
	if len(names) > 0 {
		for _, c := range e.have.Certificates {
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
		text, err := e.folder.ReadCertificate(c.Name)
		if err == nil && certstore.Fingerprint(text) == c.Fingerprint {
			c.Digest = haproxy.PEM(text).Digest()
		}
	}
	if !reflect.DeepEqual(observed, e.have.Certificates) {
		e.have.Certificates = observed
	}
	return nil
}

// tellCertificateDrift tells where HAProxy has other certificates than we left
// it with, and counts them.
func (e *edge) tellCertificateDrift(before []haproxy.Certificate) (count int) {
	byName := map[string]haproxy.Certificate{}
	for _, c := range before {
		byName[c.Name] = c
	}
	tell := func(name string) {
		e.log.Warn("drift found", "certificate", name)
		count++
	}
	for _, c := range e.have.Certificates {
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
func (e *edge) writePlannedCertificates(plan haproxy.Plan, want haproxy.State) (undo map[string][]byte, err error) {
	if len(plan.Certificates)+len(plan.DropCertificates) == 0 {
		return nil, nil
	}
	undo = map[string][]byte{}
	for _, c := range plan.Certificates {
		name := c.Certificate.Name
		if undo[name], err = e.folder.ReadCertificate(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	crtList, err := cfgfile.RenderCrtList(want, string(e.folder))
	if err != nil {
		return nil, err
	}
	e.writer.Wait()
	return undo, e.folder.WriteCrtList(crtList, e.unwritten(plan, want.Certificates))
}

// unwritten are those certificates that a Plan is about, and those that somebody
// took from our folder. The others were read when HAProxy was.
func (e *edge) unwritten(plan haproxy.Plan, certificates []haproxy.Certificate) []haproxy.Certificate {
	planned := map[string]bool{}
	for _, c := range plan.Certificates {
		planned[c.Certificate.Name] = true
	}
	return slices.DeleteFunc(slices.Clone(certificates), func(c haproxy.Certificate) bool {
		return !planned[c.Name] && e.folder.HasCertificate(c.Name)
	})
}

// settleCertificates has the files follow what became of a Plan: what HAProxy
// refused is as it was, what it no longer has is gone.
func (e *edge) settleCertificates(plan haproxy.Plan, applied runtime.Applied, undo map[string][]byte) error {
	for _, r := range applied.Refused {
		c := r.Certificate.Certificate
		if c.Name == "" || r.Certificate.Op == haproxy.DeleteCertificate {
			continue
		}
		e.vetted.refuse(c, errors.New(r.Reply))
		if old := undo[c.Name]; old != nil {
			if err := e.folder.WriteCertificates(map[string][]byte{c.Name: old}); err != nil {
				return err
			}
		}
	}
	if len(plan.Certificates)+len(plan.DropCertificates) == 0 {
		return nil
	}
	has := map[string]bool{}
	for _, c := range e.have.Certificates {
		has[c.Name] = true
	}
	running := e.have.Loaded
	running.Certificates = e.folder.Present(e.have.Certificates)
	crtList, err := cfgfile.RenderCrtList(running, string(e.folder))
	if err != nil {
		return err
	}
	if err := e.folder.WriteCrtList(crtList, nil); err != nil {
		return err
	}
	for _, c := range slices.Concat(plan.DropCertificates, plan.Certificates) {
		if name := c.Certificate.Name; !has[name] {
			if err := e.folder.RemoveCertificate(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepBundles writes authorities, whose file names change with their content,
// before anything of HAProxy's names them.
func (e *edge) keepBundles(bundles map[string][]byte) error {
	e.bundles = bundles
	if err := e.folder.WriteCertificates(bundles); err != nil {
		return fmt.Errorf("write authorities: %w", err)
	}
	return nil
}

// tidyCertificates removes files that HAProxy, which has just loaded want, does
// not use.
func (e *edge) tidyCertificates(want haproxy.State) {
	used := map[string]bool{}
	for _, c := range want.Certificates {
		used[c.Name] = true
	}
	for name := range e.bundles {
		used[name] = true
	}
	for _, f := range want.Frontends {
		used[filepath.Base(f.TLS.ClientCA)] = true
	}
	for _, b := range want.Backends.All() {
		used[filepath.Base(b.Options.CAFile)] = true
	}
	for _, name := range e.folder.CertificateNames() {
		if !used[name] {
			if err := e.folder.RemoveCertificate(name); err != nil {
				e.log.Warn("certificate is left behind", "file", name, "err", err)
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
func (e *edge) vet(ctx context.Context, want haproxy.State) haproxy.State {
	v := &e.vetted
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
		if text, err := e.folder.ReadCertificate(c.Name); err == nil && bytes.Equal(text, c.PEM) {
			v.good[c.Digest] = true
			continue
		}
		unknown = append(unknown, c)
	}
	e.vetAll(ctx, unknown)
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
			inService, ok := certstore.InService(e.folder.CertificateFolder(), c.Name, c.Source, time.Now())
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

// shown are those of the chosen certificates that HAProxy's binary would load, and
// what is in service in the place of the others.
func (e *edge) shown(chosen []haproxy.Certificate) []haproxy.Certificate {
	if v := e.vetted; len(chosen) > 0 && len(v.asked) == len(chosen) && &v.asked[0] == &chosen[0] {
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
func (e *edge) vetAll(ctx context.Context, certificates []haproxy.Certificate) {
	if len(certificates) == 0 || ctx.Err() != nil {
		return
	}
	err := haproxyCheck(e.haproxy).Certificates(ctx, string(e.folder), certificates)
	var refused *check.RejectedError
	switch {
	case err == nil:
		for _, c := range certificates {
			e.vetted.good[c.Digest] = true
		}
	case !errors.As(err, &refused): // nobody knows; HAProxy itself will say
		e.log.Warn("certificates are not checked", "err", err)
	case len(certificates) == 1:
		e.vetted.refuse(certificates[0], errors.New(refused.Output))
	default:
		half := len(certificates) / 2
		e.vetAll(ctx, certificates[:half])
		e.vetAll(ctx, certificates[half:])
	}
}
