// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

func TestStatusAndExplainWithoutPodgate(t *testing.T) {
	toml := write(t, "podgate.toml", smallest+"[admin]\nsocket = \"/nonexistent/podgate.sock\"\n")
	broken := write(t, "podgate.toml", "nonsense")
	refused := write(t, "podgate.toml", "[kubernetes]\nservr = \"x\"\n[admin]\nsocket = \"/nonexistent/podgate.sock\"\n")
	want := "ask podgate: dial unix /nonexistent/podgate.sock: connect: no such file or directory (does it run? systemctl status podgate)\n"
	for _, args := range [][]string{
		{"status", "--config", toml}, {"status", "--history", "--config", toml}, {"explain", "cart", "--config", toml},
		{"status", "--config", refused}, {"explain", "cart", "--config", refused},
		{"status", "--config", broken, "--socket", "/nonexistent/podgate.sock"},
	} {
		if stdout, stderr, code := podgate(t, args...); code != exitUnknown || stderr != want || stdout != "" {
			t.Errorf("%s: code %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	if _, stderr, code := podgate(t, "status", "--config", broken); code != exitUnknown || !strings.Contains(stderr, "podgate.sock") {
		t.Errorf("a broken podgate.toml keeps us from asking: code %d, %q", code, stderr)
	}
	if _, stderr, code := podgate(t, "status", "-o", "yaml"); code != exitUnknown || stderr != "output \"yaml\" is not one of text, json\n" {
		t.Errorf("code %d, stderr %q", code, stderr)
	}
}

// TestStatusTellsWhatRuns asks a podgate that runs between an API server and a
// HAProxy.
func TestStatusTellsWhatRuns(t *testing.T) {
	haproxytest.Need(t)
	api, haproxy := kubeapitest.Run(t), haproxytest.Run(t, haproxytest.Options{})
	addr, err := haproxy.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cart", "pay"} {
		if err := api.SetService(kubeapi.Service{Key: kubeapi.Key{Namespace: "default", Name: name}, Ports: []kubeapi.ServicePort{{Name: "web", Port: 80}}}); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(filepath.Dir(haproxy.Base), "podgate.sock")
	toml := write(t, "podgate.toml", fmt.Sprintf(`[kubernetes]
server = %q
%serror_files = ""
reload_interval = "0s"
[http]
bind = [%q]
relay = ""
[admin]
listen = []
socket = %q
history = ""
`, api.URL(), haproxy.Section(), addr, socket))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"run", "--config", toml}, os.Stdout, new(strings.Builder)) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := net.Dial("unix", socket); err == nil {
			t.Error("the control socket answers still")
		}
	}()
	deadline := time.Now().Add(15 * time.Second)
	for {
		stdout, stderr, code := podgate(t, "status", "--config", toml)
		if code == 0 && strings.HasPrefix(stdout, "OK  podgate ") && strings.Contains(stdout, ", in sync for ") && strings.Contains(stdout, "no endpoints  default/cart") {
			if strings.Contains(stdout, "\x1b") {
				t.Errorf("there are colours in what is no terminal: %q", stdout)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("code %d, %s%s", code, stdout, stderr)
		}
		time.Sleep(10 * time.Millisecond)
	}
	var status struct {
		SchemaVersion int               `json:"schema_version"`
		InSync        bool              `json:"in_sync"`
		Services      []json.RawMessage `json:"services"`
	}
	stdout, _, code := podgate(t, "status", "--config", toml, "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &status); err != nil || code != 0 || status.SchemaVersion != 2 || !status.InSync || len(status.Services) != 2 {
		t.Errorf("code %d, %v\n%s", code, err, stdout)
	}
	if stdout, _, code := podgate(t, "status", "--config", toml, "--history"); code != 0 || !strings.Contains(stdout, "HAProxy reloaded: HAProxy has not loaded podgate's configuration yet") {
		t.Errorf("code %d\n%s", code, stdout)
	}
	if stdout, _, code := podgate(t, "explain", "--config", toml, "pay"); code != 0 || !strings.HasPrefix(stdout, "Service default/pay: served, but it has no endpoints: clients get 503\n") {
		t.Errorf("code %d\n%s", code, stdout)
	}
	if _, stderr, code := podgate(t, "explain", "--config", toml, "payy"); code != 1 || stderr != "no Service payy (podgate follows namespaces default; did you mean pay?)\n" {
		t.Errorf("code %d, %q", code, stderr)
	}
}
