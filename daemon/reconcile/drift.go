// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"slices"

	"podgate/haproxy"
)

// reportDrift logs and counts how HAProxy differs from what podgate knew: another program
// changed HAProxy, or podgate was wrong. The next change repairs it.
func (r *Reconciler) reportDrift(before haproxy.Running, node haproxy.Node) (count int) {
	count = r.reportBackendDrift(before)
	for _, b := range r.have.Loaded.Backends.All() {
		have, want := r.have.Servers[b.Name], before.Servers[b.Name]
		unmanaged := r.have.Unmanaged[b.Name]
		if !slices.Equal(want, have) || len(unmanaged) > 0 {
			r.log.Warn("drift found", "backend", b.Name, "have", have, "want", want, "unmanaged", unmanaged)
			count++
		}
	}
	return count + r.reportMapDrift(before.Maps, node) + r.reportCertificateDrift(before.Certificates)
}

// reportMapDrift logs and counts the maps that were changed, without those named in
// changed, which podgate has changed itself.
func (r *Reconciler) reportMapDrift(before []haproxy.Map, node haproxy.Node, changed ...string) (count int) {
	for i, m := range r.have.Maps {
		if m.Name == haproxy.NodeMap && haproxy.ParseNode(m) == node {
			continue // podgate drain changes HAProxy itself
		}
		if i < len(before) && !slices.Equal(before[i].Entries, m.Entries) && !slices.Contains(changed, m.Name) {
			r.log.Warn("drift found", "map", m.Name)
			count++
		}
	}
	return count
}

// reportBackendDrift logs and counts the backends that were deleted or unpublished.
func (r *Reconciler) reportBackendDrift(before haproxy.Running) (count int) {
	for _, b := range before.Loaded.Backends.All() {
		_, there := r.have.Loaded.Backend(b.Name)
		switch {
		case !there:
			r.log.Warn("drift found", "backend", b.Name, "have", "deleted")
		case r.have.Unpublished[b.Name] && !before.Unpublished[b.Name]:
			r.log.Warn("drift found", "backend", b.Name, "have", "unpublished")
		default:
			continue
		}
		count++
	}
	return count
}

// reportCertificateDrift logs and counts the certificates that were added, deleted or
// changed, without those named in changed, which podgate has changed itself.
func (r *Reconciler) reportCertificateDrift(before []haproxy.Certificate, changed ...string) (count int) {
	byName := map[string]haproxy.Certificate{}
	for _, c := range before {
		byName[c.Name] = c
	}
	report := func(name string) {
		if slices.Contains(changed, name) {
			return
		}
		r.log.Warn("drift found", "certificate", name)
		count++
	}
	for _, c := range r.have.Certificates {
		if old, ok := byName[c.Name]; !ok || old.Fingerprint != c.Fingerprint || !slices.Equal(old.Serves, c.Serves) {
			report(c.Name)
		}
		delete(byName, c.Name)
	}
	for name := range byName {
		report(name)
	}
	return count
}
