// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"podgate/daemon/reconcile"
)

// Latency is how long changes took from the cluster to HAProxy, by how they were
// applied. It may be used concurrently.
type Latency struct{ byMethod *prometheus.HistogramVec }

// NewLatency returns a Latency without observations.
func NewLatency() Latency {
	l := Latency{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "podgate_event_to_applied_seconds",
		Help:    "Time from a change in the cluster until HAProxy serves it, by method.",
		Buckets: []float64{0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60},
	}, []string{"method"})}
	for _, m := range []reconcile.Method{reconcile.AtRuntime, reconcile.ByReload} {
		l.byMethod.WithLabelValues(m.String()) // so that the metric exists from the start
	}
	return l
}

// Observe counts one change.
func (l Latency) Observe(m reconcile.Method, d time.Duration) {
	l.byMethod.WithLabelValues(m.String()).Observe(d.Seconds())
}
