// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// Result is what Compile returns. It is immutable; Results share what did not
// change between them.
type Result struct {
	State    haproxy.State
	Problems []Problem     // sorted by Problem.Compare, each once
	Ports    []ServicePort // Ports[i] is the port of State.Backends.At(i)
	Secrets  []Secret      // with certificates, sorted by Key

	input    *input
	snapshot *kubeapi.Snapshot
	services haproxy.List[*service] // sorted by Key
	index    map[kubeapi.Key]int32  // of services
	merged   *merged
	totals   map[string]weight // of servers, by namespace; without regard to cut
	cut      map[int]*service  // by index into services: those over a limit of their namespace, with fewer servers
}

// ServicePort is a port of a Service.
type ServicePort struct {
	Service kubeapi.Key
	Name    string // "" where the Service gives it none
	Number  uint16
}

// Label is how a Problem names the port: by its name, else by its number.
func (p ServicePort) Label() string { return cmp.Or(p.Name, strconv.Itoa(int(p.Number))) }

// String is "shop/cart port web".
func (p ServicePort) String() string { return p.Service.String() + " port " + plain(p.Label()) }

// Compile computes what HAProxy should serve. The Machine may be nil. Prev
// is an earlier Result, or nil; it must not be changed. What it holds for the same
// objects, configuration and files is reused: equal pointers mean equal content.
// If nothing changed, Compile returns prev. It never fails: what cannot be served
// is a Problem. It may be called concurrently.
func Compile(cfg *config.Config, m *Machine, snap *kubeapi.Snapshot, prev *Result) *Result {
	if prev == nil {
		prev = &Result{}
	}
	in := newInput(cfg, m, prev.input)
	switch {
	case prev.input != in:
		prev = &Result{}
	case onlySlicesChanged(prev.snapshot, snap):
		if next, ok := prev.withSlices(snap); ok {
			return next
		}
	}
	services := compileServices(in, snap, prev)
	r := &Result{input: in, snapshot: snap, services: prev.services.Remade(services...)}
	if prev.input == in && r.services.Same(prev.services) {
		return prev
	}
	r.merged, r.index = merge(in, services, prev.merged), prev.index
	if r.merged != prev.merged { // else these are the same Services in the same order
		r.index = make(map[kubeapi.Key]int32, len(services))
		for i, s := range services {
			r.index[s.object.Key] = int32(i)
		}
	}
	r.limitNamespaces()
	r.State = haproxy.State{
		Settings:      settings(cfg),
		Frontends:     r.merged.frontends,
		Backends:      r.backends(prev),
		Routes:        r.merged.routes,
		HeldHosts:     r.merged.hosts,
		SpareBackends: cfg.HAProxy.SpareBackends,
	}
	r.Problems = r.problems()
	r.Ports = r.merged.ports
	r.Secrets = r.merged.secrets
	return r
}

// WithoutServices is what HAProxy should serve for a cluster without Services: the
// frontends and the settings of podgate.toml.
func WithoutServices(cfg *config.Config, files *TLSFiles) haproxy.State {
	return Compile(cfg, &Machine{Files: files}, &kubeapi.Snapshot{}, nil).State
}

// Service returns the Service port of a backend. It reports false for a backend
// that is not in State.
func (r *Result) Service(backend string) (ServicePort, bool) {
	i, ok := r.State.Backends.Search(func(b *haproxy.Backend) int { return cmp.Compare(b.Name, backend) })
	if !ok {
		return ServicePort{}, false
	}
	return r.Ports[i], true
}

// search returns the index of a Service in services.
func (r *Result) search(key kubeapi.Key) (int, bool) {
	i, ok := r.index[key]
	return int(i), ok
}

// compileServices compiles each Service on its own. The result is sorted by Key.
func compileServices(in *input, snap *kubeapi.Snapshot, prev *Result) []*service {
	compareKeys := func(a, b *kubeapi.Service) int { return a.Compare(b.Key) }
	objects := snap.Services
	if !slices.IsSortedFunc(objects, compareKeys) {
		objects = slices.SortedFunc(slices.Values(objects), compareKeys)
	}
	services := make([]*service, len(objects))
	for i, svc := range objects {
		var before *service
		if at, ok := prev.search(svc.Key); ok {
			before = prev.services.At(at)
		}
		services[i] = compileService(in, svc, snap, before)
	}
	return services
}

// backends returns the backends of merged with their servers. It reuses those of
// prev that are equal.
func (r *Result) backends(prev *Result) haproxy.Backends {
	backends := make([]*haproxy.Backend, len(r.merged.backends))
	old, next := prev.State.Backends, 0
	for i, p := range r.merged.backends {
		s := r.served(p.service)
		servers, unknown := s.servers[p.claim], s.unknown(p.claim)
		for next < old.Len() && old.At(next).Name < p.backend.Name {
			next++
		}
		if next < old.Len() {
			o := old.At(next)
			if o.SameStructure(p.backend) && equal(o.Servers, servers) && o.Unknown == unknown {
				backends[i] = o
				continue
			}
		}
		b := *p.backend
		b.Servers, b.Unknown = servers, unknown
		backends[i] = &b
	}
	return old.Remade(backends...)
}

// problems returns all Problems, sorted.
func (r *Result) problems() []Problem {
	problems := slices.Clone(r.merged.problems)
	for i := range r.services.All() {
		s := r.served(i)
		problems = append(problems, s.claims.problems...)
		problems = append(problems, s.problems...)
	}
	return sortProblems(problems)
}

// settings returns what podgate.toml sets for all frontends and backends.
func settings(cfg *config.Config) haproxy.Settings {
	d := cfg.Defaults
	errorFiles := slices.Clone(cfg.HAProxy.ErrorFiles)
	slices.SortFunc(errorFiles, func(a, b haproxy.ErrorFile) int { return cmp.Compare(a.Code, b.Code) })
	return haproxy.Settings{
		TimeoutClient:      d.TimeoutClient,
		TimeoutServer:      d.TimeoutServer,
		TimeoutConnect:     d.TimeoutConnect,
		TimeoutQueue:       d.TimeoutQueue,
		TimeoutHTTPRequest: d.TimeoutHTTPRequest,
		TimeoutKeepAlive:   d.TimeoutKeepAlive,
		TimeoutTunnel:      d.TimeoutTunnel,
		HardStopAfter:      cfg.HAProxy.HardStopAfter,
		MaxWorkerReloads:   cfg.HAProxy.MaxWorkerReloads,
		AccessLog:          accessLog(cfg.HAProxy.AccessLog),
		DefaultStatus:      defaultStatus(cfg.HTTP.DefaultStatus),
		NotFound:           cfg.HTTP.NotFound,
		RejectAmbiguous:    cfg.HTTP.AmbiguousPaths == config.RejectAmbiguous,
		RedirectPort:       uint16(cfg.HTTPS.RedirectPort),
		ErrorFiles:         errorFiles,
		ClientKeepAlive:    cfg.Cloud.TCPKeepAlive,
		Trusted:            cfg.Cloud.TrustedSources,
		ForwardedHops:      cfg.Cloud.ForwardedHops,
		PassForwarded:      cfg.Compatibility.ServiceLoadbalancer,
		Peers:              cfg.Peers.Nodes,
		HoldHosts:          cfg.HoldsHosts(),
	}
}

// defaultStatus returns zero for 404, so that a State is equal to one of a version of
// podgate that had no other.
func defaultStatus(status int) int {
	if status == http.StatusNotFound {
		return 0
	}
	return status
}

// accessLog returns "" for HAProxy's own format, so that a State is equal to one
// of a version of podgate that had no other.
func accessLog(l haproxy.AccessLog) haproxy.AccessLog {
	if l == haproxy.HTTPLog {
		return ""
	}
	return l
}
