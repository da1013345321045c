// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"podgate/haproxy/haproxytest"
)

// tap stands between podgate and HAProxy's sockets and notes what podgate says.
type tap struct {
	mu    sync.Mutex
	said  strings.Builder
	heard func(text string) // is told before HAProxy is; nil for nobody
}

// tapSockets puts a tap before the sockets of h: h.Admin and h.Master become
// those of the tap.
func tapSockets(t *testing.T, h *haproxytest.HAProxy) *tap {
	tp := new(tap)
	for _, socket := range []*string{&h.Admin, &h.Master} {
		path := filepath.Join(filepath.Dir(h.Admin), "tap-"+filepath.Base(*socket))
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		behind := *socket
		go tp.serve(listener, behind)
		*socket = path
	}
	return tp
}

func (tp *tap) serve(listener net.Listener, behind string) {
	for {
		front, err := listener.Accept()
		if err != nil {
			return
		}
		back, err := net.Dial("unix", behind)
		if err != nil {
			front.Close()
			continue
		}
		go func() {
			io.Copy(io.MultiWriter(tp, back), front)
			back.(*net.UnixConn).CloseWrite()
		}()
		go func() {
			io.Copy(front, back)
			front.Close()
			back.Close()
		}()
	}
}

func (tp *tap) Write(p []byte) (int, error) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	if tp.heard != nil {
		tp.heard(string(p))
	}
	return tp.said.Write(p)
}

// changes returns the commands said so far that are more than a look.
func (tp *tap) changes() (commands []string) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, c := range strings.FieldsFunc(tp.said.String(), func(r rune) bool { return r == '\n' || r == ';' }) {
		if c = strings.TrimSpace(c); c != "" && c != "quit" && c != "prompt" && !strings.HasPrefix(c, "show ") && !strings.HasPrefix(c, "help ") {
			commands = append(commands, c)
		}
	}
	return commands
}

// listen has heard told what podgate says from now on.
func (tp *tap) listen(heard func(text string)) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.heard = heard
}

// forget starts over.
func (tp *tap) forget() {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.said.Reset()
}

// words returns how much was said.
func (tp *tap) words() int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.said.Len()
}
