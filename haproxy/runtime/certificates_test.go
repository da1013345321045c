// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/haproxytest"
)

// certificate returns a Certificate with this content.
func certificate(t *testing.T, name string, pem []byte, serves ...string) haproxy.Certificate {
	t.Helper()
	return haproxy.Certificate{Name: name, Serves: serves, PEM: pem, Digest: haproxy.PEM(pem).Digest()}
}

// tlsBox returns a box whose HAProxy ends TLS and has no backends.
func tlsBox(t *testing.T, certificates ...haproxy.Certificate) (box, haproxy.State) {
	t.Helper()
	b := newBox(t)
	s := haproxy.State{
		Settings: settings(), Certificates: certificates,
		Frontends: []haproxy.Frontend{{Name: "podgate_https", Mode: haproxy.HTTP, Binds: []netip.AddrPort{b.freeAddr(t)}, TLS: haproxy.Termination{
			MinVersion: "TLSv1.2", Ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuites: "TLS_AES_128_GCM_SHA256", ALPN: "h2,http/1.1",
		}}},
	}
	must(t, os.Mkdir(filepath.Join(b.Folder, cfgfile.CertificateFolder), 0o700))
	keys := ticketKey(t) + "\n" + ticketKey(t) + "\n" + ticketKey(t) + "\n"
	must(t, b.Write(map[string][]byte{cfgfile.TicketKeysFile: []byte(keys)}))
	b.load(t, s)
	return b, s
}

func ticketKey(t *testing.T) string {
	key := make([]byte, 80)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(key)
}

// answers returns the common name of the certificate that HAProxy presents for a host,
// or the error of the handshake.
func answers(s haproxy.State, host string) string {
	conn, err := tls.Dial("tcp", s.Frontends[0].Binds[0].String(), &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestCertificatesChangeWithoutAReload(t *testing.T) {
	b, s := tlsBox(t)
	pid := b.Pid()
	const unrecognized = "remote error: tls: unrecognized name"
	chain := bytes.Repeat(firstBlock(haproxytest.Certificate(t, "root.test")), 23)
	for _, row := range []struct {
		name string
		want []haproxy.Certificate
		get  map[string]string
	}{
		{"no certificate", nil, map[string]string{"a.test": unrecognized}},
		{"a certificate is added", []haproxy.Certificate{
			certificate(t, "a.pem", haproxytest.Certificate(t, "first.test"), "a.test"),
		}, map[string]string{"a.test": "first.test", "x.a.test": unrecognized}},
		{"it is renewed", []haproxy.Certificate{
			certificate(t, "a.pem", haproxytest.Certificate(t, "second.test"), "a.test"),
		}, map[string]string{"a.test": "second.test"}},
		{"it serves more names, and another one is added", []haproxy.Certificate{
			certificate(t, "a.pem", haproxytest.Certificate(t, "third.test"), "*.a.test", "a.test"),
			certificate(t, "b.pem", haproxytest.Certificate(t, "b.test"), "b.test"),
		}, map[string]string{"a.test": "third.test", "x.a.test": "third.test", "b.test": "b.test"}},
		{"a certificate fills HAProxy's buffer", []haproxy.Certificate{
			certificate(t, "a.pem", append(haproxytest.Certificate(t, "long.test"), chain...), "a.test"),
			certificate(t, "b.pem", haproxytest.Certificate(t, "b2.test"), "b.test"),
		}, map[string]string{"a.test": "long.test", "b.test": "b2.test", "x.a.test": unrecognized}},
		{"a certificate is deleted", []haproxy.Certificate{
			certificate(t, "b.pem", haproxytest.Certificate(t, "b3.test"), "b.test"),
		}, map[string]string{"a.test": unrecognized, "b.test": "b3.test"}},
	} {
		have := haproxy.Running{Loaded: s, Certificates: observedCertificates(t, b)}
		want := s
		want.Certificates = row.want
		for _, c := range row.want {
			if len(c.PEM) > 14_000 {
				t.Logf("a certificate of %d bytes", len(c.PEM))
			}
		}
		b.apply(t, haproxy.Diff(have, want))
		for host, answer := range row.get {
			if got := answers(s, host); got != answer {
				t.Errorf("%s: %s answers %q, want %q", row.name, host, got, answer)
			}
		}
		names := cmp.Transformer("String", haproxy.Certificate.String)
		if diff := cmp.Diff(row.want, observedCertificates(t, b), names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
	if b.Pid() != pid {
		t.Error("HAProxy was reloaded")
	}
}

func TestCertificatesReadsTheNamedFingerprintsOnly(t *testing.T) {
	b, s := tlsBox(t)
	want := s
	want.Certificates = []haproxy.Certificate{
		certificate(t, "a.pem", haproxytest.Certificate(t, "a.test"), "a.test"),
		certificate(t, "b.pem", haproxytest.Certificate(t, "b.test"), "b.test"),
	}
	b.apply(t, haproxy.Diff(haproxy.Running{Loaded: s}, want))
	all := observedCertificates(t, b)
	one, err := b.Certificates(t.Context(), "b.pem", "missing.pem")
	must(t, err)
	all[0].Fingerprint = "" // a.pem is not named
	if diff := cmp.Diff(all, one); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func firstBlock(pem []byte) []byte {
	end := []byte("-----END CERTIFICATE-----\n")
	return pem[:bytes.Index(pem, end)+len(end)]
}

func observedCertificates(t *testing.T, b box) []haproxy.Certificate {
	t.Helper()
	certificates, err := b.Certificates(t.Context())
	must(t, err)
	for _, c := range certificates {
		if len(c.Fingerprint) != 40 {
			t.Errorf("%s: fingerprint %q", c.Name, c.Fingerprint)
		}
	}
	return certificates
}

func TestARejectedCertificateDoesNotPreventOthers(t *testing.T) {
	b, s := tlsBox(t)
	broken := haproxytest.Certificate(t, "broken.test")
	key := bytes.Index(broken, []byte("-----BEGIN PRIVATE KEY-----"))
	other := haproxytest.Certificate(t, "other.test")
	broken = append(broken[:key:key], other[bytes.Index(other, []byte("-----BEGIN PRIVATE KEY-----")):]...)
	want := s
	want.Certificates = []haproxy.Certificate{
		certificate(t, "a.pem", broken, "a.test"),
		certificate(t, "b.pem", haproxytest.Certificate(t, "b.test"), "b.test"),
	}
	a, err := b.Apply(t.Context(), haproxy.Diff(haproxy.Running{Loaded: s}, want))
	must(t, err)
	if len(a.Rejected) != 1 || a.Rejected[0].Certificate.Certificate.Name != "a.pem" {
		t.Errorf("rejected: %v", a.Rejected)
	}
	for _, r := range a.Rejected {
		if strings.Contains(r.String(), "BEGIN") {
			t.Errorf("the text of the rejection contains a key: %s", r)
		}
	}
	if got := answers(s, "b.test"); got != "b.test" {
		t.Errorf("b.test answers %q", got)
	}
	// A valid certificate can replace it.
	want.Certificates[0] = certificate(t, "a.pem", haproxytest.Certificate(t, "a.test"), "a.test")
	b.apply(t, haproxy.Diff(haproxy.Running{Loaded: s, Certificates: observedCertificates(t, b)}, want))
	if got := answers(s, "a.test"); got != "a.test" {
		t.Errorf("a.test answers %q", got)
	}
}

func TestAnOpenTransactionOfAnotherClientIsAborted(t *testing.T) {
	b, s := tlsBox(t)
	want := s
	want.Certificates = []haproxy.Certificate{certificate(t, "a.pem", haproxytest.Certificate(t, "a.test"), "a.test")}
	b.command(t, "new ssl cert /other.pem")
	b.command(t, "set ssl cert /other.pem <<\n"+string(haproxytest.Certificate(t, "other.test")))
	b.apply(t, haproxy.Diff(haproxy.Running{Loaded: s}, want))
	if got := answers(s, "a.test"); got != "a.test" {
		t.Errorf("a.test answers %q", got)
	}
}

func TestTLSSessionsResumeAfterAReloadAndWithNewKeys(t *testing.T) {
	b, s := tlsBox(t)
	want := s
	want.Certificates = []haproxy.Certificate{certificate(t, "a.pem", haproxytest.Certificate(t, "a.test"), "a.test")}
	for _, c := range want.Certificates {
		must(t, os.WriteFile(cfgfile.CertificatePath(b.Folder, c.Name), c.PEM, 0o600))
	}
	b.load(t, want)
	sessions := tls.NewLRUClientSessionCache(1)
	resumes := func() bool {
		t.Helper()
		conn, err := tls.Dial("tcp", s.Frontends[0].Binds[0].String(), &tls.Config{
			ServerName: "a.test", InsecureSkipVerify: true, ClientSessionCache: sessions,
			MaxVersion: tls.VersionTLS12, // the ticket is part of the handshake
		})
		must(t, err)
		defer conn.Close()
		return conn.ConnectionState().DidResume
	}
	if resumes() {
		t.Fatal("the first connection resumed a session")
	}
	b.load(t, want)
	if !resumes() {
		t.Error("the session did not resume after a reload")
	}
	for n := range 2 {
		must(t, b.TicketKey(t.Context(), ticketKey(t)))
		if !resumes() {
			t.Errorf("the session did not resume after new key %d", n)
		}
	}
}
