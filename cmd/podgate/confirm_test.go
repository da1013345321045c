// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfirm(t *testing.T) {
	folder := t.TempDir()
	toml := write(t, "podgate.toml", strings.Replace(smallest, `"/var/lib/podgate/haproxy"`, fmt.Sprintf("%q", folder), 1))
	if stdout, stderr, code := podgate(t, "confirm", "--config", toml); stdout != "" || stderr != "no removal is held\n" || code != 1 {
		t.Errorf("with nothing held: stdout %q, stderr %q, code %d", stdout, stderr, code)
	}
	held := filepath.Join(folder, "podgate.held.json")
	text := `{"since":"2026-01-02T03:04:05.000000006Z","until":"2026-01-02T03:09:05Z","loss":{"servers":60,"of_servers":100,"backends":3,"of_backends":5}}`
	if err := os.WriteFile(held, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := podgate(t, "confirm", "--show", "--config", toml)
	want := "podgate holds the removal of 60 of 100 servers and 3 of 5 backends since 2026-01-02T03:04:05Z\n" +
		"they are served until 2026-01-02T03:09:05Z at least, and removed if the next list of the cluster still lacks them; podgate confirm removes them now\n"
	if stdout != want || stderr != "" || code != 0 {
		t.Errorf("--show: stdout %q, stderr %q, code %d", stdout, stderr, code)
	}
	if _, err := os.Stat(filepath.Join(folder, "podgate.confirm")); err == nil {
		t.Error("--show confirmed")
	}
}
