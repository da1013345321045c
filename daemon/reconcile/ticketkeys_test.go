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

// TestATicketKeyThatHAProxyDidNotAcceptIsRetried has a HAProxy that does not answer:
// the keys on disk must not change again meanwhile.
func TestATicketKeyThatHAProxyDidNotAcceptIsRetried(t *testing.T) {
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
		t.Fatalf("keys change before their time: %v", err)
	}
	age()
	if err := rotate(); err == nil || bytes.Contains([]byte(err.Error()), keys()[2]) {
		t.Fatalf("the key was accepted, or is in the error: %v", err)
	}
	first := keys()
	if !bytes.Equal(first[0], before[1]) || !bytes.Equal(first[1], before[2]) {
		t.Error("the keys are not the last two and a new one")
	}
	if err := r.rotateTicketKeys(t.Context()); err != nil {
		t.Errorf("it is retried without a pause: %v", err)
	}
	if err := rotate(); err == nil {
		t.Error("the key is not sent again")
	}
	if !bytes.Equal(bytes.Join(keys(), nil), bytes.Join(first, nil)) {
		t.Error("the keys changed although HAProxy did not accept the last one")
	}
	r.process.Pid = 8 // another process has read the keys from disk
	if err := rotate(); err != nil {
		t.Errorf("another process is given a key that it has: %v", err)
	}
	// A damaged file is replaced. It contains the key that HAProxy is given.
	if err := os.WriteFile(r.dir.Path(cfgfile.TicketKeysFile), []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	age()
	if err := rotate(); err == nil || !bytes.Equal(keys()[2], r.ticketKeys.pending) {
		t.Errorf("HAProxy is given another key than the file contains: %v", err)
	}
}
