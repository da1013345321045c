// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"net"
	"strings"
	"testing"
)

// helloConn sends the ClientHello of a TLS client in several records (RFC 8446 section
// 5.1).
type helloConn struct {
	net.Conn
	cut     func(hello []byte) []int // returns where the records after the first begin
	packets bool                     // sends the records in a packet each
	sent    bool
}

func (c *helloConn) Write(b []byte) (int, error) {
	if c.sent {
		return c.Conn.Write(b)
	}
	c.sent = true
	const header = 5
	var parts [][]byte
	began := 0
	hello := b[header:]
	for _, at := range append(c.cut(hello), len(hello)) {
		if at > began && at <= len(hello) {
			record := binary.BigEndian.AppendUint16(append([]byte(nil), b[:3]...), uint16(at-began))
			parts = append(parts, append(record, hello[began:at]...))
			began = at
		}
	}
	if !c.packets {
		parts = [][]byte{bytes.Join(parts, nil)}
	}
	for _, part := range parts {
		if _, err := c.Conn.Write(part); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// presentsTo is presents for a client whose ClientHello is in several records. The
// protocols (ALPN) make it longer.
func (e *tlsEdge) presentsTo(t *testing.T, host string, cut func([]byte) []int, packets bool, protocols ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", e.https.String())
	must(t, err)
	defer conn.Close()
	secured := tls.Client(&helloConn{Conn: conn, cut: cut, packets: packets}, &tls.Config{ServerName: host, InsecureSkipVerify: true, NextProtos: protocols})
	if err := secured.HandshakeContext(t.Context()); err != nil {
		return err.Error()
	}
	return secured.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// at cuts a ClientHello at these bytes.
func at(cuts ...int) func([]byte) []int { return func([]byte) []int { return cuts } }

// newHelloEdge returns an edge that ends TLS of edge.test, and passes TLS of vault.test and
// *.apps.test through.
func newHelloEdge(t *testing.T) *tlsEdge {
	t.Helper()
	e := newTLSEdge(t)
	e.certify(t, "edge.pem", "edge.test")
	e.service(t, "ended", map[string]string{"host": "edge.test", "sslTerm": "true", "backend-protocol": "http"}, newPod(t, "ended"))
	e.service(t, "vault", map[string]string{"host": "vault.test", "passthrough": "true"}, newTLSPod(t, "vault"))
	e.service(t, "zone", map[string]string{"host": "*.apps.test", "passthrough": "true"}, newTLSPod(t, "zone"))
	e.start(t)
	e.awaitCertificate(t, "vault.test", "vault.pod")
	e.awaitCertificate(t, "a.apps.test", "zone.pod")
	return e
}

func TestAClientHelloInTwoRecords(t *testing.T) {
	t.Parallel()
	e := newHelloEdge(t)
	long := strings.Repeat("long-", 12) + "x.apps.test"
	for _, first := range []int{1, 2, 3, 4, 5, 40, 90, 120, 130, 200} {
		for _, packets := range []bool{false, true} {
			for host, want := range map[string]string{"vault.test": "vault.pod", long: "zone.pod", "edge.test": "edge.test", "other.test": unknownName} {
				if got := e.presentsTo(t, host, at(first), packets); got != want {
					t.Errorf("%s, %d bytes in the first record, packets %t: got %q, want %q", host, first, packets, got, want)
				}
			}
		}
	}
	// A record of three bytes ends within the length of the ClientHello.
	for n := 1; n < 256; n += 16 {
		if got := e.presentsTo(t, "vault.test", at(3), false, "http/1.1", strings.Repeat("x", n)); got != "vault.pod" {
			t.Errorf("3 bytes in the first record, a protocol of %d bytes: got %q", n, got)
		}
	}
}

// TestAClientHelloInMoreRecords has clients whose ClientHello is in three or more records.
// If their server name is in several records, they reach the TLS frontend, and never the
// pods of another name.
func TestAClientHelloInMoreRecords(t *testing.T) {
	t.Parallel()
	e := newHelloEdge(t)
	cases := map[string]func([]byte) []int{
		"2 and 4": at(2, 4), "3 and 4": at(3, 4), "4 and 5": at(4, 5), "40, 41, 42 and 43": at(40, 41, 42, 43),
		"200, 210 and 220": at(200, 210, 220),
	}
	if got := e.presentsTo(t, "vault.test", at(1, 2), false); got != unknownName { // after timeout_http_request
		t.Errorf("records of one byte: got %q, want %q", got, unknownName)
	}
	// A name that contains the header of the third record would also end five bytes
	// earlier: that of some-label.apps.test.evil would be in *.apps.test.
	within := func(name string, n int) func([]byte) []int {
		return func(hello []byte) []int { return []int{1, bytes.Index(hello, []byte(name)) + n} }
	}
	const longer = "some-label.apps.test.evil"
	for _, packets := range []bool{false, true} {
		for name, cut := range cases {
			for host, want := range map[string]string{"vault.test": "vault.pod", "a.apps.test": "zone.pod", "edge.test": "edge.test"} {
				if got := e.presentsTo(t, host, cut, packets); got != want {
					t.Errorf("%s, cut at %s, packets %t: got %q, want %q", host, name, packets, got, want)
				}
			}
		}
		for host, want := range map[string]string{"vault.test": unknownName, "a.apps.test": unknownName, "edge.test": "edge.test", longer: unknownName} {
			for n := range len(host) {
				if got := e.presentsTo(t, host, within(host, n), packets); got != want {
					t.Errorf("%s, cut within the name at %d, packets %t: got %q, want %q", host, n, packets, got, want)
				}
			}
		}
	}
}
