// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"strings"
	"testing"
)

// helloConn sends the ClientHello of a TLS client in two records (RFC 8446 section 5.1).
type helloConn struct {
	net.Conn
	first   int  // bytes of the ClientHello in the first record
	packets bool // sends the records in a packet each
	sent    bool
}

func (c *helloConn) Write(b []byte) (int, error) {
	const header = 5
	if c.sent || len(b) <= header+c.first {
		return c.Conn.Write(b)
	}
	c.sent = true
	record := func(body []byte) []byte {
		return append(binary.BigEndian.AppendUint16(append([]byte(nil), b[:3]...), uint16(len(body))), body...)
	}
	one, two := record(b[header:header+c.first]), record(b[header+c.first:])
	if !c.packets {
		one, two = append(one, two...), nil
	}
	for _, part := range [][]byte{one, two} {
		if _, err := c.Conn.Write(part); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// presentsTo is presents for a client whose ClientHello is in two records.
func (e *tlsEdge) presentsTo(t *testing.T, host string, first int, packets bool) string {
	t.Helper()
	conn, err := net.Dial("tcp", e.https.String())
	must(t, err)
	defer conn.Close()
	secured := tls.Client(&helloConn{Conn: conn, first: first, packets: packets}, &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err := secured.HandshakeContext(t.Context()); err != nil {
		return err.Error()
	}
	return secured.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestAClientHelloInTwoRecords(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "edge.pem", "edge.test")
	e.service(t, "ended", map[string]string{"host": "edge.test", "sslTerm": "true", "backend-protocol": "http"}, newPod(t, "ended"))
	e.service(t, "vault", map[string]string{"host": "vault.test", "passthrough": "true"}, newTLSPod(t, "vault"))
	e.service(t, "zone", map[string]string{"host": "*.apps.test", "passthrough": "true"}, newTLSPod(t, "zone"))
	e.start(t)
	e.awaitCertificate(t, "vault.test", "vault.pod")
	e.awaitCertificate(t, "a.apps.test", "zone.pod")
	long := strings.Repeat("long-", 12) + "x.apps.test"
	for _, first := range []int{1, 2, 3, 4, 5, 40, 90, 120, 130, 200} {
		for _, packets := range []bool{false, true} {
			for host, want := range map[string]string{"vault.test": "vault.pod", long: "zone.pod", "edge.test": "edge.test", "other.test": unknownName} {
				if got := e.presentsTo(t, host, first, packets); got != want {
					t.Errorf("%s, %d bytes in the first record, packets %t: got %q, want %q", host, first, packets, got, want)
				}
			}
		}
	}
}
