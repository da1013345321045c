// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// ReloadReason is one reason why only a reload makes HAProxy serve a State.
type ReloadReason struct {
	Kind   ReloadKind
	Object string // name of the frontend or backend, the generation of a foreign configuration, or a Part; else ""
	Detail string // what happened to Object, for messages: "changed its policy"
	// Backend is the backend of a TCP frontend, or of a server, that Object names; else "".
	Backend string
}

// ReloadKind is what a ReloadReason is about. The zero value is FirstLoad.
type ReloadKind int

// The kinds, the most severe first.
const (
	FirstLoad            ReloadKind = iota // HAProxy has not loaded a configuration of podgate yet
	ForeignConfiguration                   // HAProxy has loaded a configuration that this podgate did not write
	SettingsChanged                        // Settings changed, which hold for all sections
	FrontendChanged                        // a frontend is new, removed or changed
	BackendChanged                         // a part of a backend changed that only a reload changes
	BackendNew                             // a backend is new that cannot be added at run time
	HeaderNameNew                          // a Route changes a header that the loaded configuration has no lines for
	NotAtRuntime                           // HAProxy did not take a change at run time that it usually takes

	ReloadKinds = iota // how many kinds there are
)

// String is the value of the metric label "reason": "backend-new".
func (k ReloadKind) String() string {
	return [ReloadKinds]string{"first-load", "foreign-configuration", "settings", "frontend", "backend-changed", "backend-new", "header-name-new", "not-at-runtime"}[k]
}

// String is "backend shop_cart_80 changed its policy".
func (r ReloadReason) String() string {
	switch r.Kind {
	case FirstLoad:
		return "HAProxy has not loaded podgate's configuration yet"
	case ForeignConfiguration:
		return "HAProxy runs configuration " + r.Object + ", which this podgate did not write"
	case SettingsChanged:
		return "settings changed"
	case FrontendChanged:
		return "frontend " + r.Object + " " + r.Detail
	case HeaderNameNew:
		return "header " + r.Object + " " + r.Detail
	case NotAtRuntime:
		return r.Object + " cannot be changed at run time: " + r.Detail
	}
	return "backend " + r.Object + " " + r.Detail
}

// IsAboutBackend reports whether the reason is about the named backend.
func (r ReloadReason) IsAboutBackend(name string) bool {
	return (r.Kind == BackendChanged || r.Kind == BackendNew) && r.Object == name
}

// AboutBackend returns the backend that the reason is about, or that only its object leads
// to; "" for a reason that is about more than one backend.
func (r ReloadReason) AboutBackend() string {
	if r.Kind == BackendChanged || r.Kind == BackendNew {
		return r.Object
	}
	return r.Backend
}

// Reasons are all reasons of one reload.
type Reasons []ReloadReason

// Texts returns the String of each reason.
func (r Reasons) Texts() []string {
	texts := make([]string, len(r))
	for i, reason := range r {
		texts[i] = reason.String()
	}
	return texts
}

// String joins all Texts with ", ".
func (r Reasons) String() string { return strings.Join(r.Texts(), ", ") }

// Brief joins the first few Texts, and the number of omitted ones, with "; ".
func (r Reasons) Brief() string {
	const most = 5
	texts := r[:min(len(r), most)].Texts()
	if more := len(r) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// Kind is the most severe kind of the reasons. It panics without reasons.
func (r Reasons) Kind() ReloadKind {
	return slices.MinFunc(r, func(a, b ReloadReason) int { return cmp.Compare(a.Kind, b.Kind) }).Kind
}

// ReloadReasons returns why a HAProxy that has loaded a configuration of podgate
// needs a reload to serve want, sorted by their texts; nil if it needs no reload. It
// is Plan.Reload without the rest of the Plan.
func ReloadReasons(running Running, want State) Reasons {
	have := running.Loaded
	var reasons Reasons
	if !have.Settings.equal(&want.Settings) {
		reasons = append(reasons, ReloadReason{Kind: SettingsChanged})
	}
	frontends := map[string]Frontend{}
	for _, f := range have.Frontends {
		frontends[f.Name] = f
	}
	for _, f := range want.Frontends {
		detail := "is new"
		if old, ok := frontends[f.Name]; ok {
			detail = old.changeTo(f)
		}
		delete(frontends, f.Name)
		if detail != "" {
			reasons = append(reasons, ReloadReason{Kind: FrontendChanged, Object: f.Name, Detail: detail, Backend: f.Backend})
		}
	}
	for name, f := range frontends {
		reasons = append(reasons, ReloadReason{Kind: FrontendChanged, Object: name, Detail: "is removed", Backend: f.Backend})
	}
	taken := running.takeSpares(want)
	for old, b := range mergeBackends(have.Backends, want.Backends) {
		switch {
		case b == nil: // no reload: the backend only loses its servers
		case old != nil:
			if detail := old.changeTo(b); detail != "" {
				reasons = append(reasons, ReloadReason{Kind: BackendChanged, Object: b.Name, Detail: detail})
			}
		case taken[b.Name] == nil && !running.addsAtRuntime(b):
			reasons = append(reasons, ReloadReason{Kind: BackendNew, Object: b.Name, Detail: "is new" + running.whyNotAtRuntime(b)})
		}
	}
	for _, name := range want.headerNames() {
		if _, ok := slices.BinarySearch(have.HeaderNames, name); !ok {
			reasons = append(reasons, ReloadReason{Kind: HeaderNameNew, Object: name, Detail: "is changed by a route for the first time"})
		}
	}
	reasons = append(reasons, running.notAtRuntime(want)...)
	slices.SortFunc(reasons, func(a, b ReloadReason) int { return cmp.Compare(a.String(), b.String()) })
	return reasons
}

// changeTo names the first difference between two frontends of one name, each of
// which needs a reload; "" if they are equal.
func (f Frontend) changeTo(w Frontend) string {
	switch {
	case !slices.Equal(f.Binds, w.Binds):
		return "changed its listen addresses"
	case f.Relay != w.Relay:
		return "changed its relay address"
	case f.ExpectProxy != w.ExpectProxy:
		return "changed its PROXY protocol settings"
	case !reflect.DeepEqual(f.Health, w.Health):
		return "changed its health check settings"
	case !reflect.DeepEqual(f.Stats, w.Stats):
		return "changed its statistics settings"
	case f.TLS != w.TLS:
		return "changed its TLS settings"
	case f.TLSLoopback != w.TLSLoopback:
		return "changed its TLS passthrough settings"
	case f.Backend != w.Backend:
		return "changed its backend"
	case f.Mode != w.Mode:
		return "changed its mode"
	}
	return ""
}

// changeTo names the first difference between two backends of one name that needs a
// reload; "" if no reload is needed.
func (b *Backend) changeTo(w *Backend) string {
	switch {
	case b.Policy != w.Policy:
		return "changed its policy"
	case b.Options != w.Options:
		return "changed its server options"
	case w.Policy.Mode != HTTP && b.TimeoutServer != w.TimeoutServer:
		return "changed its server timeout"
	case w.Policy.Mode != HTTP && b.TimeoutTunnel != w.TimeoutTunnel:
		return "changed its tunnel timeout"
	}
	return ""
}

// addsAtRuntime reports whether a backend that the process does not have can be
// added without a reload.
func (r Running) addsAtRuntime(b *Backend) bool {
	return r.changesBackends() && b.Dynamic() && r.Rejected[b.Name] == "" && slices.Contains(r.Loaded.Classes, b.Policy.Class())
}

// whyNotAtRuntime explains why addsAtRuntime is false and the backend takes no spare. It
// is "" if the process adds no backends and has no spares, and for a TCP backend, which no
// process adds.
func (r Running) whyNotAtRuntime(b *Backend) string {
	switch {
	case !r.changesBackends() && !r.takesSpares() || b.Policy.Mode != HTTP:
		return ""
	case r.Rejected[b.Name] != "":
		return "; HAProxy rejected it at run time: " + r.Rejected[b.Name]
	case b.Policy.ClientAffinity != 0 && b.Options.CAFile != "":
		return ", with a stick table and a CA file"
	case b.Policy.ClientAffinity != 0:
		return ", with a stick table"
	case b.Options.CAFile != "":
		return ", with a CA file"
	case r.takesSpares() && slices.Contains(r.Loaded.Classes, b.Policy.Class()):
		return "; no spare backend of its class is left"
	}
	return "; no loaded defaults section matches it"
}
