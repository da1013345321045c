// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPreflightExitCodes(t *testing.T) {
	file := write(t, "podgate.toml", strings.Replace(smallest, "https://192.0.2.10:6443", "http://127.0.0.1:1", 1))
	stdout, stderr, code := podgate(t, "preflight", "-o", "json", "--config", file)
	var report struct {
		OK       bool
		Findings []struct{ Check, What, Why string }
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || report.OK || code != 1 || len(report.Findings) < 4 {
		t.Errorf("got %s, stderr %q, code %d, %v", stdout, stderr, code, err)
	}
	if stdout, _, code := podgate(t, "preflight", "--config", file); code != 1 || !strings.Contains(stdout, "FAIL api: list services in namespace \"default\": ") {
		t.Errorf("got %s, code %d", stdout, code)
	}
	if _, stderr, code := podgate(t, "preflight", "--config", "/nonexistent"); code != 2 || stderr == "" {
		t.Errorf("without a file: got %q, code %d", stderr, code)
	}
}
