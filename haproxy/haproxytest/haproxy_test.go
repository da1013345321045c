// SPDX-License-Identifier: Apache-2.0

package haproxytest_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"podgate/haproxy/haproxytest"
)

// runs reports whether the process runs. A zombie has no command line.
func runs(pid int) bool {
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return len(cmdline) > 0
}

const listen = `listen here
  mode http
  bind %s
  http-request return status 200
`

func TestStopEndsEveryProcessAndRemovesTheFolder(t *testing.T) {
	haproxytest.Need(t)
	h, err := haproxytest.Start(t.Context(), haproxytest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pid := h.Pid()
	if err := h.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := h.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	if runs(pid) {
		t.Errorf("worker %d runs after Stop", pid)
	}
	if _, err := os.Stat(h.Folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder after Stop: %v, want none", err)
	}
}

func TestRestartLoadsWrittenFiles(t *testing.T) {
	h := haproxytest.Run(t, haproxytest.Options{})
	addr, err := h.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(listen, "%s", addr.String(), 1)
	if err := h.Write(map[string][]byte{"a.cfg": []byte(config)}); err != nil {
		t.Fatal(err)
	}
	before := h.Pid()
	if err := h.KillWorker(); err != nil {
		t.Fatal(err)
	}
	if pid := h.Pid(); pid != 0 {
		t.Errorf("process %d answers after the worker %d was killed", pid, before)
	}
	if err := h.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestStartReturnsHAProxysOutput(t *testing.T) {
	haproxytest.Need(t)
	files := map[string][]byte{"a.cfg": []byte("nonsense\n")}
	_, err := haproxytest.Start(t.Context(), haproxytest.Options{Files: files})
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("Start: %v, want HAProxy's error about nonsense", err)
	}
}

func TestFreeAddrNeverRepeats(t *testing.T) {
	h := haproxytest.Run(t, haproxytest.Options{})
	seen := map[string]bool{}
	for range 200 {
		addr, err := h.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		if seen[addr.String()] {
			t.Fatalf("%s was returned twice", addr)
		}
		seen[addr.String()] = true
	}
}
