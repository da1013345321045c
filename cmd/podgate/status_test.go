// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"podgate/daemon/edgetest"
)

func TestStatusAndExplainWithoutPodgate(t *testing.T) {
	toml := write(t, "podgate.toml", smallest+"[admin]\nsocket = \"/nonexistent/podgate.sock\"\n")
	broken := write(t, "podgate.toml", "nonsense")
	unusable := write(t, "podgate.toml", "[kubernetes]\nservr = \"x\"\n[admin]\nsocket = \"/nonexistent/podgate.sock\"\n")
	want := "ask podgate: dial unix /nonexistent/podgate.sock: connect: no such file or directory (is podgate running? systemctl status podgate)\n"
	for _, args := range [][]string{
		{"status", "--config", toml}, {"status", "--history", "--config", toml}, {"explain", "cart", "--config", toml},
		{"status", "--config", unusable}, {"explain", "cart", "--config", unusable},
		{"status", "--config", broken, "--socket", "/nonexistent/podgate.sock"},
	} {
		if stdout, stderr, code := podgate(t, args...); code != exitUnknown || stderr != want || stdout != "" {
			t.Errorf("%s: code %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	if _, stderr, code := podgate(t, "status", "--config", broken); code != exitUnknown || !strings.Contains(stderr, "podgate.sock") {
		t.Errorf("with a broken podgate.toml: code %d, %q", code, stderr)
	}
	if _, stderr, code := podgate(t, "status", "-o", "yaml"); code != exitUnknown || stderr != "output \"yaml\" is not one of text, json\n" {
		t.Errorf("code %d, stderr %q", code, stderr)
	}
}

// TestStatusAndExplainOfRunningPodgate runs podgate with an API server and HAProxy.
func TestStatusAndExplainOfRunningPodgate(t *testing.T) {
	b := newBox(t)
	b.service(t, "pay")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"run", "--config", b.TOML}, os.Stdout, new(strings.Builder)) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := net.Dial("unix", b.Socket); err == nil {
			t.Error("the control socket still answers")
		}
	}()
	err := edgetest.Await(t.Context(), "podgate status", func() error {
		stdout, stderr, code := podgate(t, "status", "--config", b.TOML)
		if code != 0 || !strings.HasPrefix(stdout, "OK  podgate ") || !strings.Contains(stdout, ", in sync for ") || !strings.Contains(stdout, "no endpoints  shop/cart") {
			return fmt.Errorf("code %d, %s%s", code, stdout, stderr)
		}
		if strings.Contains(stdout, "\x1b") {
			t.Errorf("the output has colours although it is not a terminal: %q", stdout)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var status struct {
		SchemaVersion int               `json:"schema_version"`
		InSync        bool              `json:"in_sync"`
		Services      []json.RawMessage `json:"services"`
	}
	stdout, _, code := podgate(t, "status", "--config", b.TOML, "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &status); err != nil || code != 0 || status.SchemaVersion != 2 || !status.InSync || len(status.Services) != 2 {
		t.Errorf("code %d, %v\n%s", code, err, stdout)
	}
	if stdout, _, code := podgate(t, "status", "--config", b.TOML, "--history"); code != 0 || !strings.Contains(stdout, "HAProxy reloaded: HAProxy has not loaded podgate's configuration yet") {
		t.Errorf("code %d\n%s", code, stdout)
	}
	if stdout, _, code := podgate(t, "explain", "--config", b.TOML, "pay"); code != 0 || !strings.HasPrefix(stdout, "Service shop/pay: served, but it has no endpoints: clients get 503\n") {
		t.Errorf("code %d\n%s", code, stdout)
	}
	if _, stderr, code := podgate(t, "explain", "--config", b.TOML, "payy"); code != 1 || stderr != "no Service payy (podgate follows namespaces shop; did you mean pay?)\n" {
		t.Errorf("code %d, %q", code, stderr)
	}
}
