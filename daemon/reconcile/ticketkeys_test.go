// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"bytes"
	"log/slog"
	"os"
	"testing"
	"time"

	"podgate/daemon/confdir"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// TestAKeyThatHAProxyDidNotTakeIsTriedAgain has a HAProxy that takes nothing: the
// keys on disk must not go on without it.
func TestAKeyThatHAProxyDidNotTakeIsTriedAgain(t *testing.T) {
	r := newReconciler(t, confdir.Dir(t.TempDir()), slog.New(slog.DiscardHandler))
	r.ours, r.process.Pid = true, 7
	r.have.Loaded.Frontends = []haproxy.Frontend{{TLS: haproxy.Termination{MinVersion: "TLSv1.2"}}}
	if err := r.dir.WriteCrtList([]byte{}, nil); err != nil {
		t.Fatal(err)
	}
	keys := func() [][]byte {
		t.Helper()
		text, err := os.ReadFile(r.dir.Path(cfgfile.TicketKeysFile))
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
		r.ticketKeys.retry.reset() // as if it had been waited for
		return r.rotateTicketKeys(t.Context())
	}
	age := func() {
		t.Helper()
		if err := os.Chtimes(r.dir.Path(cfgfile.TicketKeysFile), time.Time{}, time.Now().Add(-r.config.TicketKeyInterval)); err != nil {
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
	if err := r.rotateTicketKeys(t.Context()); err != nil {
		t.Errorf("it is tried again at once: %v", err)
	}
	if err := rotate(); err == nil {
		t.Error("it is not tried again")
	}
	if !bytes.Equal(bytes.Join(keys(), nil), bytes.Join(first, nil)) {
		t.Error("the keys have gone on without HAProxy")
	}
	r.process.Pid = 8 // which has read them
	if err := rotate(); err != nil {
		t.Errorf("another HAProxy is told of a key that it has: %v", err)
	}
	// A file that somebody else wrote is made good, with the key that HAProxy is told.
	if err := os.WriteFile(r.dir.Path(cfgfile.TicketKeysFile), []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	age()
	if err := rotate(); err == nil || !bytes.Equal(keys()[2], r.ticketKeys.pending) {
		t.Errorf("the key on disk is not HAProxy's: %v", err)
	}
}
