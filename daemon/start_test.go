// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"podgate/haproxy/haproxytest"
)

// completed waits until podgate has logged so many starts, and returns the line of the last.
func (e *edge) completed(t *testing.T, starts int) string {
	t.Helper()
	e.awaitLogCount(t, `level=INFO msg="start completed"`, starts)
	var last string
	for l := range strings.Lines(e.Log.String()) {
		if strings.Contains(l, `msg="start completed"`) {
			last = l
		}
	}
	for _, part := range []string{"took", "list", "compile", "render", "check", "load", "read_back"} {
		if !strings.Contains(last, " "+part+"=") {
			t.Errorf("no %s in %q", part, last)
		}
	}
	return last
}

func TestAStartWithAnEmptyFolderIsOneReload(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	sent := e.tapSockets(t)
	port := e.freeAddr(t)
	e.configure(t, fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d]\n", port.Addr(), port.Port()))
	old := newPod(t, "cart-1")
	e.service(t, "cart", map[string]string{"cookie-sticky-session": "true", "timeout-server": "20s"}, newPod(t, "cart-0"), old)
	e.service(t, "odd", map[string]string{"algorithm": "leastconn", "check": "false"}, newPod(t, "odd-0"))
	e.service(t, "empty", nil)
	e.service(t, "db", map[string]string{"tcp": fmt.Sprint(port.Port())}, newPod(t, "db-0"))
	e.start(t)
	if line := e.completed(t, 1); !strings.Contains(line, " backends=4") {
		t.Errorf("the start is reported as %q", line)
	}
	e.awaitAnswer(t, "any", "/odd/", "200 odd-0 /")
	e.awaitReloads(t)
	for _, c := range sent.changes() {
		if c != "reload" && !strings.HasPrefix(c, "@") {
			t.Errorf("podgate sent %q in addition to the reload", c)
		}
	}
	e.endpoints(t, "cart", old) // a change, after which nothing older is pending
	e.awaitServers(t, "shop_cart_80", old)
	e.awaitReloads(t)
	e.stop(t)

	sent.reset()
	e.start(t)
	if line := e.completed(t, 2); !strings.Contains(line, " check=0s load=0s ") {
		t.Errorf("the start with the right files is reported as %q", line)
	}
	e.awaitReloads(t)
	if c := sent.changes(); len(c) > 0 {
		t.Errorf("podgate sent %q after a start with the right files", c)
	}
	e.awaitLogCount(t, "out of sync", 0)
}

// TestAStartServesWhatHAProxyCanLoad starts with Services that HAProxy cannot load.
func TestAStartServesWhatHAProxyCanLoad(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	taken := newPod(t, "taken")
	e.set(t, "haproxy.binary", rejecting(t, "/odd"))
	e.configure(t, fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d]\n", taken.Addr.Addr(), taken.Addr.Port()))
	for i := range 7 {
		name := fmt.Sprintf("good%d", i)
		e.service(t, name, nil, newPod(t, name))
	}
	e.service(t, "odd", map[string]string{"check-path": "/odd"}, newPod(t, "odd-0"))
	e.service(t, "db", map[string]string{"tcp": fmt.Sprint(taken.Addr.Port())}, newPod(t, "db-0"))
	e.start(t)
	e.completed(t, 1)
	for i := range 7 {
		e.awaitAnswer(t, "any", fmt.Sprintf("/good%d/", i), fmt.Sprintf("200 good%d /", i))
	}
	e.awaitAnswer(t, "any", "/odd/", notFound)
	e.awaitLog(t, "Service shop/odd port web: set aside and not served")
	e.awaitLog(t, "Service shop/db port web: set aside and not served")
	e.awaitReloads(t)
	e.awaitLogCount(t, "out of sync", 0)
}

// rejecting returns the path of a haproxy binary that rejects backends with these check
// paths, as HAProxy does: it names the line.
func rejecting(t *testing.T, paths ...string) string {
	t.Helper()
	binary, err := haproxytest.Binary()
	must(t, err)
	script := filepath.Join(t.TempDir(), "haproxy")
	uris := slices.Clone(paths)
	for i, path := range uris {
		uris[i] = "uri " + path + " "
	}
	must(t, os.WriteFile(script, fmt.Appendf(nil, `#!/bin/sh
for last; do :; done
if grep -E "%s" "$last/podgate.cfg" >/dev/null; then
	echo "[ALERT]    (1) : config : parsing [$last/podgate.cfg:7] : odd" >&2
	exit 1
fi
exec %s "$@"
`, strings.Join(uris, "|"), binary), 0o700))
	return script
}
