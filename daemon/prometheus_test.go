// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
)

// prometheus is Debian's Prometheus, which scrapes an edge.
type prometheus struct {
	addr netip.AddrPort
	log  bytes.Buffer // may be read after it has ended
}

// addExporter adds HAProxy's exporter to the operator's configuration.
func (e *edge) addExporter(t *testing.T) netip.AddrPort {
	t.Helper()
	addr := e.freeAddr(t)
	base, err := os.ReadFile(e.HAProxy.Base)
	must(t, err)
	exporter := fmt.Sprintf(`
frontend metrics
  mode http
  timeout client 10s
  bind %s
  http-request use-service prometheus-exporter if { path /metrics }
`, addr)
	must(t, os.WriteFile(e.HAProxy.Base, append(base, exporter...), 0o600))
	must(t, e.HAProxy.Restart(t.Context()))
	return addr
}

// scrape starts Prometheus with the packaged rules, until the end of the test.
func (e *edge) scrape(t *testing.T, page, exporter netip.AddrPort) *prometheus {
	t.Helper()
	binary := need(t, "prometheus", "prometheus")
	rules, err := filepath.Abs("../packaging/prometheus/podgate.rules.yml")
	must(t, err)
	folder := t.TempDir()
	file := filepath.Join(folder, "prometheus.yml")
	text := fmt.Sprintf(`
global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
rule_files: [%q]
scrape_configs:
- job_name: podgate
  static_configs: [{targets: [%q]}]
- job_name: haproxy
  static_configs: [{targets: [%q]}]
`, rules, page, exporter)
	must(t, os.WriteFile(file, []byte(text), 0o600))
	p := &prometheus{addr: e.freeAddr(t)}
	cmd := exec.CommandContext(t.Context(), binary, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+p.addr.String())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	must(t, cmd.Start())
	t.Cleanup(func() { // its context has ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus' log:\n%s", p.log.String())
		}
	})
	return p
}

// ask sends a query to its API, and decodes the data of the answer into out.
func (p *prometheus) ask(path string, query url.Values, out any) error {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + p.addr.String() + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	if answer.Status != "success" {
		return errors.New(answer.Error)
	}
	return json.Unmarshal(answer.Data, out)
}

// TestTheDashboardShowsAnEdge sends every query of the dashboard to a Prometheus that
// scrapes podgate and HAProxy: each answer has numbers. Prometheus evaluates every alert,
// and none fires.
func TestTheDashboardShowsAnEdge(t *testing.T) {
	t.Parallel()
	haproxytest.Need(t)
	e := newEdge(t)
	e.hurry = true
	page, exporter := e.servePage(t), e.addExporter(t)
	cart := []*edgetest.Pod{newPod(t, "cart-0"), newPod(t, "cart-1")}
	e.service(t, "cart", nil, cart[0])
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.awaitHealthy(t)
	p := e.scrape(t, page, exporter)
	eventually(t, "Prometheus scrapes podgate", func() error {
		var found []string
		if err := p.ask("/api/v1/label/instance/values", url.Values{"match[]": {"podgate_build_info"}}, &found); err != nil {
			return err
		}
		if len(found) != 1 || found[0] != page.String() {
			return fmt.Errorf("the dashboard offers the instances %q", found)
		}
		return nil
	})
	e.endpoints(t, "cart", cart[1])
	e.awaitAnswer(t, "any", "/cart/", "200 cart-1 /")
	for title, expr := range dashboard(t) {
		eventually(t, title, func() error { return p.draws(expr) })
	}
	eventually(t, "alerts", p.quiet)
}

// dashboard returns its queries by title and number, with values for Grafana's variables.
func dashboard(t *testing.T) map[string]string {
	t.Helper()
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile("../packaging/grafana/podgate.json")
	if err == nil {
		err = json.Unmarshal(text, &board)
	}
	must(t, err)
	all := map[string]string{}
	for _, panel := range board.Panels {
		for i, target := range panel.Targets {
			all[fmt.Sprintf("%s %d", panel.Title, i)] = strings.NewReplacer("$__rate_interval", "30s", "$instance", ".*", "$haproxy", ".*").Replace(target.Expr)
		}
	}
	if len(all) < 20 {
		t.Fatalf("the dashboard has %d queries", len(all))
	}
	return all
}

// draws queries the last minute of a panel, as Grafana does, and expects a number.
func (p *prometheus) draws(expr string) error {
	now := time.Now()
	stamp := func(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMilli())/1000) }
	var drawn struct {
		Result []struct{ Values [][2]any }
	}
	query := url.Values{"query": {expr}, "start": {stamp(now.Add(-time.Minute))}, "end": {stamp(now)}, "step": {"1"}}
	if err := p.ask("/api/v1/query_range", query, &drawn); err != nil {
		return fmt.Errorf("%s: %w", expr, err)
	}
	for _, series := range drawn.Result {
		for _, value := range series.Values {
			if value[1] != "NaN" {
				return nil
			}
		}
	}
	return fmt.Errorf("%s: %d series, and no number in them", expr, len(drawn.Result))
}

// quiet expects that every alert was evaluated without an error, and that no alert fires.
func (p *prometheus) quiet() error {
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State string }
		}
	}
	if err := p.ask("/api/v1/rules", nil, &rules); err != nil {
		return err
	}
	count := 0
	for _, group := range rules.Groups {
		for _, r := range group.Rules {
			count++
			if r.Health != "ok" || r.State != "inactive" {
				return fmt.Errorf("%s: %s %s, %s", r.Name, r.Health, r.LastError, r.State)
			}
		}
	}
	if count < 10 {
		return fmt.Errorf("Prometheus has %d rules", count)
	}
	return nil
}
