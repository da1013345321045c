// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"podgate/daemon/edgetest"
)

// tap records what podgate sends to HAProxy's sockets.
type tap struct {
	mu    sync.Mutex
	sent  strings.Builder
	heard func(text string) // is called before HAProxy receives the text; nil for none

	proxies []*edgetest.Proxy
}

// tapSockets puts a tap between podgate and HAProxy, and writes podgate.toml.
func (e *edge) tapSockets(t *testing.T) *tap {
	t.Helper()
	tp := new(tap)
	for key, socket := range map[string]string{"haproxy.admin_socket": e.HAProxy.Admin, "haproxy.master_socket": e.HAProxy.Master} {
		p, err := edgetest.StartProxy("unix", filepath.Join(e.Folder, "tap-"+filepath.Base(socket)), socket, tp.hear)
		must(t, err)
		t.Cleanup(p.Close)
		tp.proxies = append(tp.proxies, p)
		e.Set(key, p.Addr())
	}
	e.configure(t, "")
	return tp
}

func (tp *tap) hear(text string) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	if tp.heard != nil {
		tp.heard(text)
	}
	tp.sent.WriteString(text)
}

// changes returns the commands so far that change anything.
func (tp *tap) changes() (commands []string) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, c := range strings.FieldsFunc(tp.sent.String(), func(r rune) bool { return r == '\n' || r == ';' }) {
		if c = strings.TrimSpace(c); c != "" && c != "quit" && c != "prompt" && !strings.HasPrefix(c, "show ") && !strings.HasPrefix(c, "help ") {
			commands = append(commands, c)
		}
	}
	return commands
}

// listen calls heard with what podgate sends from now on.
func (tp *tap) listen(heard func(text string)) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.heard = heard
}

// replace has HAProxy receive now instead of old from now on.
func (tp *tap) replace(old, now string) {
	for _, p := range tp.proxies {
		p.Set(edgetest.Mode{Replace: func(text string) string { return strings.ReplaceAll(text, old, now) }})
	}
}

// pass has HAProxy receive what podgate sends.
func (tp *tap) pass() {
	for _, p := range tp.proxies {
		p.Set(edgetest.Mode{})
	}
}

// reset forgets what podgate has sent so far.
func (tp *tap) reset() {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.sent.Reset()
}

// size returns how many bytes podgate has sent.
func (tp *tap) size() int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.sent.Len()
}
