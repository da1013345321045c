// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"net/http"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"podgate/daemon/compile"
	"podgate/daemon/guard"
	"podgate/daemon/reconcile"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// newMetrics returns the handler of /metrics.
func newMetrics(s *Server) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		&collector{s},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// collector creates the metrics of the current View. Their labels are from fixed
// lists, or limited, so that no cluster can make them many.
type collector struct{ server *Server }

// metric is one gauge, counter or histogram.
type metric struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("podgate_"+name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("podgate_"+name, help, labels, nil), prometheus.CounterValue}
}

// histogram has no value type.
func histogram(name, help string, labels ...string) metric {
	return metric{Desc: prometheus.NewDesc("podgate_"+name, help, labels, nil)}
}

// metrics are all metrics.
type metrics struct {
	build, inSync, config, certificates, expiry, held, heldSince, heldServers, heldBackends, draining, haproxyUp, adminSocketUp, peers, apiUp, apiCondition, listed, heard, applied metric
	problems, services, servers, backends, routes, oldWorkers                                                                                                                       metric
	latency, applies, reloads, driftFound, driftRepaired, watchRestarts, apiRequest                                                                                                 metric
}

func newMetricNames() metrics {
	return metrics{
		build:         gauge("build_info", "Always 1; the labels are the version, the commit and the version of Go.", "version", "commit", "goversion"),
		inSync:        gauge("in_sync", "1 while HAProxy serves what the cluster and podgate.toml require, else 0."),
		config:        gauge("configuration_in_force", "1 while the current podgate.toml is in force, 0 while it is invalid and the previous one is in force."),
		certificates:  gauge("certificates", "Certificates in use by state; expiring is less than 14 days before expiry.", "state"),
		expiry:        gauge("certificate_expiry_timestamp_seconds", "Time at which a certificate in use expires, for the first 1000 to expire; source is its file or Secret.", "source"),
		held:          gauge("removal_held", "1 while the removal guard holds a removal, else 0."),
		heldSince:     gauge("removal_held_timestamp_seconds", "Time since which a removal is held, 0 if none is."),
		heldServers:   gauge("removal_held_servers", "Servers whose removal is held."),
		heldBackends:  gauge("removal_held_backends", "Backends that the held removal would leave without a server."),
		draining:      gauge("draining", "1 while this node is drained: its health checks fail; else 0."),
		haproxyUp:     gauge("haproxy_up", "1 while HAProxy answers, else 0."),
		adminSocketUp: gauge("haproxy_admin_socket_up", "1 while HAProxy answers on its admin socket, 0 while it answers only on its master CLI or not at all."),
		peers:         gauge("peers_in_force", "1 while HAProxy shares its stick tables with peers.nodes or that list is empty, 0 while this node is not listed."),
		apiUp:         gauge("api_server_up", "1 while the API server is followed, else 0."),
		apiCondition:  gauge("api_server_condition", "1 while this condition keeps podgate from following the API server, else 0.", "kind"),
		listed:        gauge("last_sync_timestamp_seconds", "Time of the last complete list of all resources, 0 for never."),
		heard:         gauge("last_heard_timestamp_seconds", "Time of the last list, event or bookmark from the API server, 0 for never."),
		applied:       gauge("last_apply_timestamp_seconds", "Time of the last successful change of HAProxy, 0 for none since podgate started."),
		problems:      gauge("problems", "Problems by kind; certificate counts problems with certificates, the other kinds those with Services.", "kind"),
		services:      gauge("services", "Services by state.", "state"),
		servers:       gauge("servers", "Servers by state; up and down count those that should get new clients.", "state"),
		backends:      gauge("backends", "Backends that HAProxy should have."),
		routes:        gauge("routes", "Routes that HAProxy should have."),
		oldWorkers:    gauge("haproxy_old_workers", "Old HAProxy workers that still have connections."),
		latency:       histogram("event_to_applied_seconds", "Time from a change in the cluster until HAProxy serves it, by method.", "method"),
		applies:       counter("applies_total", "Changes of HAProxy by method and result.", "method", "result"),
		reloads:       counter("reloads_total", "Reloads of HAProxy by their most important reason.", "reason"),
		driftFound:    counter("drift_found_total", "Backends and maps found changed in HAProxy, but not by podgate."),
		driftRepaired: counter("drift_repaired_total", "Backends and maps that were found changed and repaired."),
		watchRestarts: counter("watch_restarts_total", "Watches that ended, by cause; timeout is the normal end of a healthy one.", "cause"),
		apiRequest:    counter("api_requests_total", "Requests to the API server by HTTP status code; none is no answer.", "code"),
	}
}

// Describe sends nothing, which makes the collector unchecked: the metrics depend on
// the View.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics of the current View.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	v := c.server.View()
	if v == nil {
		return
	}
	m := newMetricNames()
	emit := func(x metric, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(x.Desc, x.kind, value, labels...)
	}
	emit(m.build, 1, v.Version, v.Commit, goruntime.Version())
	emit(m.inSync, truth(v.Edge.InSync))
	emit(m.config, truth(v.ConfigError == ""))
	var held guard.Removal // zero for none
	if v.Edge.Removal != nil {
		held = *v.Edge.Removal
	}
	emit(m.held, truth(v.Edge.Removal != nil))
	emit(m.heldSince, timestamp(held.Since))
	emit(m.heldServers, float64(held.Loss.Servers))
	emit(m.heldBackends, float64(held.Loss.Backends))
	emit(m.draining, truth(v.Edge.Draining))
	emit(m.haproxyUp, truth(v.Edge.Answers()))
	emit(m.adminSocketUp, truth(v.Edge.Answers() && v.Edge.ViaMaster == ""))
	emit(m.peers, truth(v.Edge.NoPeers == ""))
	emit(m.applied, timestamp(v.Edge.Counters.LastApply))
	m.collectAPI(v.API.Status(), emit)
	m.collectServed(v, emit)
	m.collectCounters(v.Edge.Counters, emit)
	m.collectCertificates(v, emit)
	out <- v.Latency.Runtime.metric(m.latency.Desc, reconcile.AtRuntime)
	out <- v.Latency.Reload.metric(m.latency.Desc, reconcile.ByReload)
}

func (m metrics) collectAPI(st kubeapi.Status, emit func(metric, float64, ...string)) {
	emit(m.apiUp, truth(len(st.Conditions) == 0 && !st.Heard.IsZero()))
	emit(m.listed, timestamp(st.Listed))
	emit(m.heard, timestamp(st.Heard))
	conditions := map[kubeapi.ConditionKind]bool{}
	for _, c := range st.Conditions {
		conditions[c.Kind] = true
	}
	for _, kind := range kubeapi.ConditionKinds() {
		emit(m.apiCondition, truth(conditions[kind]), string(kind))
	}
	for _, cause := range kubeapi.WatchEnds() {
		emit(m.watchRestarts, float64(st.WatchEnds[cause]), cause)
	}
	for code, n := range st.Requests {
		label := "none"
		if code != 0 {
			label = strconv.Itoa(code)
		}
		emit(m.apiRequest, float64(n), label)
	}
}

func (m metrics) collectServed(v *View, emit func(metric, float64, ...string)) {
	problems := map[compile.Kind]int{}
	for _, p := range v.Problems {
		problems[p.Kind]++
	}
	for _, kind := range compile.Kinds() {
		emit(m.problems, float64(problems[kind]), string(kind))
	}
	emit(m.problems, float64(len(v.CertificateProblems)), string(certificateKind))
	states := countStates(v)
	for _, state := range serviceStates() {
		emit(m.services, float64(states[state]), string(state))
	}
	n := countServers(v)
	emit(m.servers, float64(n.Up), "up")
	emit(m.servers, float64(n.Down), "down")
	emit(m.servers, float64(n.Drain), "drain")
	emit(m.servers, float64(n.Leaving), "leaving")
	if v.Result != nil {
		emit(m.backends, float64(v.Result.State.Backends.Len()))
		emit(m.routes, float64(len(v.Result.State.Routes)))
	}
	if v.Health != nil {
		emit(m.oldWorkers, float64(v.Health.Retired))
	}
}

// mostExpiries is the maximum number of certificates with a metric of their own,
// because the cluster can have any number of Secrets.
const mostExpiries = 1000

func (m metrics) collectCertificates(v *View, emit func(metric, float64, ...string)) {
	count := countCertificates(v.Certificates, time.Now())
	for _, state := range certificateStates() {
		emit(m.certificates, float64(count[state]), string(state))
	}
	seen := map[string]bool{}
	for _, c := range v.Certificates { // the first to expire first
		source := strings.ToValidUTF8(c.Source, "?")
		if !seen[source] && len(seen) < mostExpiries {
			seen[source] = true
			emit(m.expiry, timestamp(c.Expires), source)
		}
	}
}

func (m metrics) collectCounters(c reconcile.Counters, emit func(metric, float64, ...string)) {
	for method, outcomes := range c.Applies {
		for outcome, n := range outcomes {
			emit(m.applies, float64(n), reconcile.Method(method).String(), reconcile.Outcome(outcome).String())
		}
	}
	for kind, n := range c.Reloads {
		emit(m.reloads, float64(n), haproxy.ReloadKind(kind).String())
	}
	emit(m.driftFound, float64(c.DriftFound))
	emit(m.driftRepaired, float64(c.DriftRepaired))
}

// metric returns the histogram for Prometheus, whose buckets are cumulative.
func (h Histogram) metric(desc *prometheus.Desc, method reconcile.Method) prometheus.Metric {
	buckets := make(map[float64]uint64, len(h.Counts))
	var total uint64
	for i, bound := range Buckets() {
		total += h.Counts[i]
		buckets[bound.Seconds()] = total
	}
	total += h.Counts[len(h.Counts)-1]
	return prometheus.MustNewConstHistogram(desc, total, h.Sum.Seconds(), buckets, method.String())
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
