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

// Describe sends nothing, which makes the collector unchecked: the metrics depend on
// the View.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics of the current View.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	v := c.server.View()
	if v == nil {
		return
	}
	e := emitter(out)
	e.gauges("build_info", "Always 1; the labels are the version, the commit and the version of Go.", "version", "commit", "goversion")(1, v.Version, v.Commit, goruntime.Version())
	e.gauge("in_sync", "1 while HAProxy serves what the cluster and podgate.toml require, else 0.", truth(v.Edge.InSync))
	e.gauge("configuration_in_force", "1 while the current podgate.toml is in force, 0 while it is invalid and the previous one is in force.", truth(v.ConfigError == ""))
	var held guard.Removal // zero for none
	if v.Edge.Removal != nil {
		held = *v.Edge.Removal
	}
	e.gauge("removal_held", "1 while the removal guard holds a removal, else 0.", truth(v.Edge.Removal != nil))
	e.gauge("removal_held_timestamp_seconds", "Time since which a removal is held, 0 if none is.", timestamp(held.Since))
	e.gauge("removal_held_servers", "Servers whose removal is held.", float64(held.Loss.Servers))
	e.gauge("removal_held_backends", "Backends that the held removal would leave without a server.", float64(held.Loss.Backends))
	e.gauge("draining", "1 while this node is drained: its health checks fail; else 0.", truth(v.Edge.Draining))
	e.gauge("haproxy_up", "1 while HAProxy answers, else 0.", truth(v.Edge.Answers()))
	e.gauge("haproxy_admin_socket_up", "1 while HAProxy answers on its admin socket, 0 while it answers only on its master CLI or not at all.", truth(v.Edge.Answers() && v.Edge.ViaMaster == ""))
	e.gauge("peers_in_force", "1 while HAProxy shares its stick tables with peers.nodes or that list is empty, 0 while this node is not listed.", truth(v.Edge.NoPeers == ""))
	e.gauge("last_apply_timestamp_seconds", "Time of the last successful change of HAProxy, 0 for none since podgate started.", timestamp(v.Edge.Counters.LastApply))
	e.gauge("reload_floor_seconds", "Minimum time between two reloads of HAProxy at present.", v.Edge.ReloadFloor.Seconds())
	e.gauge("slow_namespaces", "Namespaces whose reloads are delayed because they cause reload after reload.", float64(len(v.Edge.Slow)))
	e.api(v.API.Status())
	e.served(v)
	e.counters(v.Edge.Counters)
	e.certificates(v)
	v.Latency.byMethod.Collect(out)
}

func (e emitter) api(st kubeapi.Status) {
	e.gauge("api_server_up", "1 while the API server is followed, else 0.", truth(len(st.Conditions) == 0 && !st.Heard.IsZero()))
	e.gauge("last_sync_timestamp_seconds", "Time of the last complete list of all resources, 0 for never.", timestamp(st.Listed))
	e.gauge("last_heard_timestamp_seconds", "Time of the last list, event or bookmark from the API server, 0 for never.", timestamp(st.Heard))
	conditions := map[kubeapi.ConditionKind]bool{}
	for _, c := range st.Conditions {
		conditions[c.Kind] = true
	}
	condition := e.gauges("api_server_condition", "1 while this condition keeps podgate from following the API server, else 0.", "kind")
	for _, kind := range kubeapi.ConditionKinds() {
		condition(truth(conditions[kind]), string(kind))
	}
	restarts := e.countersBy("watch_restarts_total", "Watches that ended, by cause; timeout is the normal end of a healthy one.", "cause")
	for _, cause := range kubeapi.WatchEnds() {
		restarts(float64(st.WatchEnds[cause]), cause)
	}
	requests := e.countersBy("api_requests_total", "Requests to the API server by HTTP status code; none is no answer.", "code")
	for code, n := range st.Requests {
		label := "none"
		if code != 0 {
			label = strconv.Itoa(code)
		}
		requests(float64(n), label)
	}
}

func (e emitter) served(v *View) {
	count := map[compile.Kind]int{}
	for _, p := range v.Problems {
		count[p.Kind]++
	}
	problems := e.gauges("problems", "Problems by kind; certificate counts problems with certificates, the other kinds those with Services.", "kind")
	for _, kind := range compile.Kinds() {
		problems(float64(count[kind]), string(kind))
	}
	problems(float64(len(v.CertificateProblems)), string(certificateKind))
	states := countStates(v)
	services := e.gauges("services", "Services by state.", "state")
	for _, state := range serviceStates() {
		services(float64(states[state]), string(state))
	}
	n := countServers(v)
	servers := e.gauges("servers", "Servers by state; up and down count those that should get new clients.", "state")
	servers(float64(n.Up), "up")
	servers(float64(n.Down), "down")
	servers(float64(n.Drain), "drain")
	servers(float64(n.Leaving), "leaving")
	if v.Result != nil {
		e.gauge("backends", "Backends that HAProxy should have.", float64(v.Result.State.Backends.Len()))
		e.gauge("routes", "Routes that HAProxy should have.", float64(len(v.Result.State.Routes)))
	}
	if v.Health != nil {
		e.gauge("haproxy_old_workers", "Old HAProxy workers that still have connections.", float64(v.Health.OldWorkers))
	}
}

// mostExpiries is the maximum number of certificates with a metric of their own,
// because the cluster can have any number of Secrets.
const mostExpiries = 1000

func (e emitter) certificates(v *View) {
	count := countCertificates(v.Certificates, time.Now())
	certificates := e.gauges("certificates", "Certificates in use by state; expiring is less than 14 days before expiry.", "state")
	for _, state := range certificateStates() {
		certificates(float64(count[state]), string(state))
	}
	expiry := e.gauges("certificate_expiry_timestamp_seconds", "Time at which a certificate in use expires, for the first 1000 to expire; source is its file or Secret.", "source")
	seen := map[string]bool{}
	for _, c := range v.Certificates { // by expiry
		source := strings.ToValidUTF8(c.Source, "?")
		if !seen[source] && len(seen) < mostExpiries {
			seen[source] = true
			expiry(timestamp(c.Expires), source)
		}
	}
}

func (e emitter) counters(c reconcile.Counters) {
	applies := e.countersBy("applies_total", "Changes of HAProxy by method and result.", "method", "result")
	for method, outcomes := range c.Applies {
		for outcome, n := range outcomes {
			applies(float64(n), reconcile.Method(method).String(), reconcile.Outcome(outcome).String())
		}
	}
	reloads := e.countersBy("reloads_total", "Reloads of HAProxy by their most important reason.", "reason")
	for kind, n := range c.Reloads {
		reloads(float64(n), haproxy.ReloadKind(kind).String())
	}
	e.countersBy("drift_found_total", "Backends and maps found changed in HAProxy, but not by podgate.")(float64(c.DriftFound))
	e.countersBy("drift_repaired_total", "Backends and maps that were found changed and repaired.")(float64(c.DriftRepaired))
}

// emitter sends metrics. Their names begin with podgate_.
type emitter chan<- prometheus.Metric

func (e emitter) gauge(name, help string, value float64) { e.gauges(name, help)(value) }

// gauges returns a function that sends one gauge with the values of its labels.
func (e emitter) gauges(name, help string, labels ...string) func(value float64, labels ...string) {
	return e.metrics(prometheus.GaugeValue, name, help, labels)
}

// countersBy returns a function that sends one counter with the values of its labels.
func (e emitter) countersBy(name, help string, labels ...string) func(value float64, labels ...string) {
	return e.metrics(prometheus.CounterValue, name, help, labels)
}

func (e emitter) metrics(kind prometheus.ValueType, name, help string, labels []string) func(float64, ...string) {
	desc := prometheus.NewDesc("podgate_"+name, help, labels, nil)
	return func(value float64, labels ...string) {
		e <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
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
