// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"slices"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/runtime"
)

// observeCertificates reads back the certificates that HAProxy has, or only the named
// ones. HAProxy shows only fingerprints: if a fingerprint is that of the file, HAProxy
// has the content of the file.
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
		if err == nil && haproxy.PEM(text).Fingerprint() == c.Fingerprint {
			c.Digest = haproxy.PEM(text).Digest()
		}
	}
	if !reflect.DeepEqual(observed, r.have.Certificates) {
		r.have.Certificates = observed
	}
	return nil
}

// writePlannedCertificates writes the certificates of a plan to disk, before they are
// sent to HAProxy. It returns the previous content of each file, nil for a new file.
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

// unwritten returns the certificates that a Plan changes, and those whose file another
// program has removed.
func (r *Reconciler) unwritten(plan haproxy.Plan, certificates []haproxy.Certificate) []haproxy.Certificate {
	planned := map[string]bool{}
	for _, c := range plan.Certificates {
		planned[c.Certificate.Name] = true
	}
	return slices.DeleteFunc(slices.Clone(certificates), func(c haproxy.Certificate) bool {
		return !planned[c.Name] && r.dir.HasCertificate(c.Name)
	})
}

// settleCertificates updates the files after a Plan was applied: it restores the files of
// the certificates that HAProxy rejected, and removes files that HAProxy no longer uses.
func (r *Reconciler) settleCertificates(plan haproxy.Plan, applied runtime.Applied, undo map[string][]byte) error {
	for _, rejection := range applied.Rejected {
		c := rejection.Certificate.Certificate
		if c.Name == "" || rejection.Certificate.Op == haproxy.DeleteCertificate {
			continue
		}
		if !rejection.AtReload {
			r.validated.rejectForNow(r.now(), c.Digest, rejection.Reply)
		}
		if old := undo[c.Name]; old != nil {
			if err := r.dir.WriteCertificates(map[string][]byte{c.Name: old}); err != nil {
				return err
			}
			r.knowContent(c.Name, old)
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

// knowContent notes that HAProxy has the content of the file of a certificate, if the
// fingerprints are the same. When podgate read HAProxy back, the file had another content.
// Without the note, podgate would send HAProxy what it has, which it may reject too.
func (r *Reconciler) knowContent(name string, text []byte) {
	for i, c := range r.have.Certificates {
		if c.Name == name && c.Fingerprint == haproxy.PEM(text).Fingerprint() {
			r.have.Certificates = slices.Clone(r.have.Certificates)
			r.have.Certificates[i].Digest = haproxy.PEM(text).Digest()
		}
	}
}

// serves reports whether HAProxy has a certificate now.
func (r *Reconciler) serves(c haproxy.Certificate) bool {
	return slices.ContainsFunc(r.have.Certificates, func(have haproxy.Certificate) bool {
		return have.Name == c.Name && have.Fingerprint == c.Fingerprint
	})
}

// writeAuthorities writes the CA files before a configuration names them. Files with the
// same names have the same content, because the names contain a hash of it.
func (r *Reconciler) writeAuthorities(authorities map[string][]byte) error {
	if maps.EqualFunc(r.authorities, authorities, func(_, _ []byte) bool { return true }) {
		return nil
	}
	if err := r.dir.WriteCertificates(authorities); err != nil {
		return fmt.Errorf("write authorities: %w", err)
	}
	r.authorities = authorities
	return nil
}

// removeUnusedCertificates removes the files that HAProxy does not use after it loaded
// want.
func (r *Reconciler) removeUnusedCertificates(want haproxy.State) {
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
				r.log.Warn("unused certificate remains", "file", name, "err", err)
			}
		}
	}
}
