// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// TestAKeyThatHAProxyDidNotTakeIsTriedAgain has a HAProxy that takes nothing: the
// keys on disk must not go on without it.
func TestAKeyThatHAProxyDidNotTakeIsTriedAgain(t *testing.T) {
	c := config.Default()
	c.HAProxy.Folder = t.TempDir()
	c.HAProxy.AdminSocket, c.HAProxy.MasterSocket = filepath.Join(c.HAProxy.Folder, "a.sock"), filepath.Join(c.HAProxy.Folder, "m.sock")
	e := newEdge(c, slog.New(slog.DiscardHandler))
	e.ours, e.process.Pid = true, 7
	e.have.Loaded.Frontends = []haproxy.Frontend{{TLS: haproxy.Termination{MinVersion: "TLSv1.2"}}}
	if err := e.folder.WriteCrtList([]byte{}, nil); err != nil {
		t.Fatal(err)
	}
	keys := func() [][]byte {
		t.Helper()
		text, err := os.ReadFile(e.folder.Path(cfgfile.TicketKeysFile))
		if err != nil {
			t.Fatal(err)
		}
		all := bytes.Fields(text)
		if len(all) != 3 {
			t.Fatalf("%d keys", len(all))
		}
		return all
	}
	rotate := func() error {
		e.tickets.retry.reset() // as if it had been waited for
		return e.rotateTickets(t.Context())
	}
	age := func() {
		t.Helper()
		if err := os.Chtimes(e.folder.Path(cfgfile.TicketKeysFile), time.Time{}, time.Now().Add(-c.HTTPS.TicketKeyInterval)); err != nil {
			t.Fatal(err)
		}
	}
	before := keys()
	if err := rotate(); err != nil || !bytes.Equal(keys()[2], before[2]) {
		t.Fatalf("keys that are young change: %v", err)
	}
	age()
	if err := rotate(); err == nil || bytes.Contains([]byte(err.Error()), keys()[2]) {
		t.Fatalf("nobody took the key: %v", err)
	}
	first := keys()
	if !bytes.Equal(first[0], before[1]) || !bytes.Equal(first[1], before[2]) {
		t.Error("the keys are not the last two and a new one")
	}
	if err := e.rotateTickets(t.Context()); err != nil {
		t.Errorf("it is tried again at once: %v", err)
	}
	if err := rotate(); err == nil {
		t.Error("it is not tried again")
	}
	if !bytes.Equal(bytes.Join(keys(), nil), bytes.Join(first, nil)) {
		t.Error("the keys have gone on without HAProxy")
	}
	e.process.Pid = 8 // which has read them
	if err := rotate(); err != nil {
		t.Errorf("another HAProxy is told of a key that it has: %v", err)
	}
	// A file that somebody else wrote is made good, with the key that HAProxy is told.
	if err := os.WriteFile(e.folder.Path(cfgfile.TicketKeysFile), []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	age()
	if err := rotate(); err == nil || !bytes.Equal(keys()[2], e.tickets.untold) {
		t.Errorf("the key on disk is not HAProxy's: %v", err)
	}
}
