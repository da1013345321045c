// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// session is the first TLS session of a client. Later tickets are not stored: the session
// resumes as long as HAProxy has the key of its first ticket.
type session struct {
	e       *tlsEdge
	version uint16
	first   *tls.ClientSessionState
}

func (s *session) Get(string) (*tls.ClientSessionState, bool) { return s.first, s.first != nil }

func (s *session) Put(_ string, state *tls.ClientSessionState) {
	if s.first == nil {
		s.first = state
	}
}

// resumes sends a request over a new connection, and reports whether it resumed the
// session. In TLS 1.3 the ticket is sent with the answer.
func (s *session) resumes(t *testing.T) bool {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		ServerName: "shop.test", InsecureSkipVerify: true, ClientSessionCache: s, MinVersion: s.version, MaxVersion: s.version,
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.e.https.String()+"/", nil)
	must(t, err)
	req.Host = "shop.test"
	resp, err := transport.RoundTrip(req)
	must(t, err)
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return resp.TLS.DidResume
}

// TestSessionTicketKeysRotate resumes sessions over new keys, reloads and restarts, until the
// key of their tickets is deleted.
func TestSessionTicketKeysRotate(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.hurry = true
	e.setHTTPS(t, `ticket_key_interval = "1h"`)
	e.certify(t, "shop.pem", "shop.test")
	e.service(t, "shop", map[string]string{"host": "shop.test", "sslTerm": "true", "backend-protocol": "http"}, newPod(t, "shop"))
	e.start(t)
	e.awaitTLSAnswer(t, "shop.test", "/", "200 shop /")
	file := filepath.Join(e.HAProxy.Folder, "tickets.keys")
	keys := func() []string {
		t.Helper()
		text, err := os.ReadFile(file)
		must(t, err)
		return strings.Fields(string(text))
	}
	rotated := 0
	rotate := func(age time.Duration) {
		t.Helper()
		before := keys()
		must(t, os.Chtimes(file, time.Time{}, time.Now().Add(-age)))
		rotated++
		e.awaitLogCount(t, "TLS session ticket key changed", rotated)
		after := keys()
		if len(after) != 3 || after[0] != before[1] || after[1] != before[2] || after[2] == before[0] || after[2] == before[2] {
			t.Errorf("rotation %d: the keys are not the last two and a new one", rotated)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("rotation %d: mode %v, %v", rotated, info.Mode(), err)
		}
	}
	first := []*session{{e: e, version: tls.VersionTLS12}, {e: e, version: tls.VersionTLS13}}
	check := func(when string, want bool) {
		t.Helper()
		for _, s := range first {
			if got := s.resumes(t); got != want {
				t.Errorf("%s: %s resumes %t, want %t", when, tls.VersionName(s.version), got, want)
			}
		}
	}
	check("at first", false)
	check("soon after", true)
	made := keys()
	e.awaitReloads(t, e.serviceWithReload(t, "more", newPod(t, "more")))
	check("after a reload", true)
	e.stop(t)
	e.start(t)
	e.certify(t, "next.pem", "next.test")
	e.awaitCertificate(t, "next.test", "next.test")
	check("after a restart of podgate", true)
	if got := keys(); fmt.Sprint(got) != fmt.Sprint(made) {
		t.Error("the keys changed before ticket_key_interval")
	}
	rotate(time.Hour + time.Minute)
	check("with the next key", true)
	e.awaitNoDifference(t)
	must(t, e.HAProxy.Restart(t.Context()))
	e.awaitTLSAnswer(t, "shop.test", "/", "200 shop /")
	check("after a restart of HAProxy", true)
	rotate(-10 * time.Hour) // the clock was set back
	check("with the second next key", false)
	e.checkKeysAreSecret(t)
}
