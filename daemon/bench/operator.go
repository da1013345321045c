// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"time"
)

// asked is how often each question is asked.
const asked = 20

// operator is what an operator waits for: the commands, from their start to
// their end, beside one that asks nobody; and page and metrics, beside an answer
// of two bytes.
func operator(ctx context.Context, e *edge) (line, error) {
	middle := namespace + "/" + serviceName(e.services/2)
	var l line
	for _, c := range []struct {
		name string
		args []string
	}{
		{"status", []string{"status", "--socket", e.socket}},
		{"status_json", []string{"status", "--socket", e.socket, "-o", "json"}},
		{"explain_service", []string{"explain", "--socket", e.socket, middle}},
		{"explain_url", []string{"explain", "--socket", e.socket, "http://any/" + serviceName(e.services/2) + "/x"}},
		{"yardstick_command", []string{"version"}},
	} {
		times, err := repeat(func() error { return e.podgate.command(ctx, c.args...) })
		if err != nil {
			return nil, fmt.Errorf("podgate %s: %w", c.args[0], err)
		}
		l = slices.Concat(l, figures(c.name+"_", times))
	}
	for _, c := range []struct{ name, path string }{{"page", "/"}, {"scrape", "/metrics"}, {"yardstick_answer", "/livez"}} {
		times, err := repeat(func() error { return fetch(ctx, "http://"+e.admin.String()+c.path) })
		if err != nil {
			return nil, err
		}
		l = slices.Concat(l, figures(c.name+"_", times))
	}
	return l, nil
}

func repeat(do func() error) ([]time.Duration, error) {
	times := make([]time.Duration, asked)
	for i := range times {
		began := time.Now()
		if err := do(); err != nil {
			return nil, err
		}
		times[i] = time.Since(began)
	}
	return times, nil
}

// command runs the podgate that is measured once more. Exit code 1 is of a
// status that is not all well.
func (p *podgate) command(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, p.cmd.Path, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() <= 1 && len(out) > 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", err, out)
}

func fetch(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s, %w", url, resp.Status, err)
	}
	return nil
}
