// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"podgate/daemon/reconcile"
	"podgate/haproxy"
)

func scrape(t testing.TB, s *Server) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.routes().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetricsFollowTheConventionsOfPrometheus(t *testing.T) {
	v := newView(t, 3, 2)
	v.Latency.Observe(reconcile.AtRuntime, 7*time.Millisecond)
	v.Latency.Observe(reconcile.AtRuntime, 2*time.Hour)
	v.Edge.Counters.Reloads[haproxy.Reasons{{Kind: haproxy.BackendNew}, {Kind: haproxy.SettingsChanged}}.Kind()]++
	text := scrape(t, newServer(v))
	problems, err := promlint.New(bytes.NewBufferString(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "podgate_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, want := range []string{
		"podgate_in_sync 1\n",
		`podgate_servers{state="up"} 6` + "\n",
		`podgate_services{state="up"} 3` + "\n",
		`podgate_reloads_total{reason="settings"} 1` + "\n",
		`podgate_event_to_applied_seconds_bucket{method="runtime",le="0.005"} 0` + "\n",
		`podgate_event_to_applied_seconds_bucket{method="runtime",le="0.01"} 1` + "\n",
		`podgate_event_to_applied_seconds_bucket{method="runtime",le="60"} 1` + "\n",
		`podgate_event_to_applied_seconds_count{method="runtime"} 2` + "\n",
		`podgate_problems{kind="conflict"} 0` + "\n",
		`podgate_build_info{commit="",goversion="go`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
}

// TestTheNumberOfMetricsIsConstant compares a small with a large cluster.
func TestTheNumberOfMetricsIsConstant(t *testing.T) {
	few, many := scrape(t, newServer(newView(t, 1, 1))), scrape(t, newServer(newView(t, 300, 3)))
	if a, b := podgateLines(few), podgateLines(many); a != b {
		t.Errorf("%d lines for a Service, %d for 300", a, b)
	}
}

// TestEachCertificateHasItsExpiry has certificates with the same source, which is a
// folder that cannot be read, and one whose name is not valid UTF-8.
func TestEachCertificateHasItsExpiry(t *testing.T) {
	v := newView(t, 1, 1)
	end := time.Unix(2_000_000_000, 0)
	v.Certificates = []Certificate{{Source: "in service", Expires: end}, {Source: "in service", Expires: end.Add(time.Hour)}, {Source: "/c/\xff.pem", Expires: end}}
	for i := range 3 * mostExpiries {
		v.Certificates = append(v.Certificates, Certificate{Source: fmt.Sprintf("Secret shop/%04d", i), Expires: end.Add(2 * time.Hour)})
	}
	v.CertificateProblems = []CertificateProblem{{File: "/c/a.pem", Text: "expired"}, {File: "/c/b.pem", Text: "no key"}}
	text := scrape(t, newServer(v))
	for _, want := range []string{
		`podgate_certificate_expiry_timestamp_seconds{source="in service"} 2e+09` + "\n",
		`podgate_certificate_expiry_timestamp_seconds{source="/c/?.pem"} 2e+09` + "\n",
		`podgate_certificate_expiry_timestamp_seconds{source="Secret shop/0007"} 2.0000072e+09` + "\n",
		`podgate_certificates{state="valid"} 3003` + "\n",
		`podgate_problems{kind="certificate"} 2` + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q", want)
		}
	}
	if n := strings.Count(text, "\npodgate_certificate_expiry_timestamp_seconds{"); n != mostExpiries {
		t.Errorf("%d certificates have a line", n)
	}
}

// podgateLines counts the lines of podgate's own metrics.
func podgateLines(text string) (n int) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "podgate_") {
			n++
		}
	}
	return n
}
