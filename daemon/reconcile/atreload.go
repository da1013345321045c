// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"crypto/sha256"
	"fmt"
	"maps"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// leaveToReload leaves the parts that HAProxy could not change at run time to a reload.
// A part that the last reload did not change either is not left to another one, until
// something else is wanted of it: that would be a reload in every reload_interval.
func (r *Reconciler) leaveToReload(rejected []runtime.Rejection, want haproxy.State) {
	left := maps.Clone(r.have.AtReload)
	for _, rejection := range rejected {
		part, ok := partOf(rejection)
		if !ok || r.reloadedFor[part] == contentOf(part, want) {
			continue
		}
		if left == nil {
			left = map[haproxy.Part]string{}
		}
		left[part] = rejection.Reply
	}
	r.have.AtReload = left
}

// settleAtReload records for which parts HAProxy was reloaded.
func (r *Reconciler) settleAtReload(want haproxy.State) {
	r.reloadedFor = map[haproxy.Part]string{}
	for part := range r.have.AtReload {
		r.reloadedFor[part] = contentOf(part, want)
	}
	r.have.AtReload = nil
}

// partOf returns the part of a rejection; false for a rejection that no reload settles.
func partOf(r runtime.Rejection) (haproxy.Part, bool) {
	switch {
	case !r.AtReload:
		return haproxy.Part{}, false
	case r.Map != "":
		return haproxy.Part{Map: r.Map}, true
	case r.Certificate.Op != "":
		return haproxy.Part{Certificate: r.Certificate.Certificate.Name}, true
	}
	return haproxy.Part{Server: r.Change.Backend.Name + "/" + r.Change.Server.Name()}, true
}

// contentOf returns a hash of what is wanted of a part.
func contentOf(p haproxy.Part, want haproxy.State) string {
	sum := sha256.New()
	fmt.Fprintln(sum, p)
	for _, m := range want.Maps() {
		if m.Name == p.Map {
			fmt.Fprintln(sum, m.Entries)
		}
	}
	for _, c := range want.Certificates {
		if c.Name == p.Certificate {
			fmt.Fprintln(sum, c.Digest, c.Serves)
		}
	}
	return string(sum.Sum(nil))
}
