// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
)

func TestConnectErrors(t *testing.T) {
	const server = "https://api.example.com:6443"
	cert := &x509.Certificate{
		DNSNames:    []string{"kubernetes", "localhost"},
		IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)},
		NotBefore:   time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC),
		NotAfter:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	rejected := &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}
	for _, tt := range []struct {
		name   string
		err    error
		access access
		want   string
	}{
		{
			name: "a name that is not in DNS",
			err:  &net.DNSError{Err: "no such host", Name: "api.example.com", Server: "10.0.0.53:53", IsNotFound: true},
			want: "look up api.example.com of " + server + ": no such name (DNS server 10.0.0.53:53)",
		},
		{
			name: "DNS that does not answer",
			err:  &net.DNSError{Err: "i/o timeout", Name: "api.example.com", IsTimeout: true},
			want: "look up api.example.com of " + server + ": DNS does not answer",
		},
		{
			name:   "another CA",
			err:    x509.UnknownAuthorityError{},
			access: access{caOrigin: "/etc/podgate/ca.crt"},
			want:   "verify the server's certificate: signed by an unknown authority (is /etc/podgate/ca.crt the CA of " + server + "?)",
		},
		{
			name: "no CA",
			err:  x509.UnknownAuthorityError{},
			want: "verify the server's certificate: signed by an unknown authority (no CA is configured, so the system's are used)",
		},
		{
			name: "another name",
			err:  x509.HostnameError{Certificate: cert, Host: "api.example.com"},
			want: "verify the server's certificate: it is for kubernetes, localhost, 10.0.0.1, not for api.example.com (name one of them as tls-server-name, or in the address of the server)",
		},
		{
			name: "a certificate without names",
			err:  x509.HostnameError{Certificate: &x509.Certificate{}, Host: "api.example.com"},
			want: "verify the server's certificate: it is for no name, not for api.example.com (name one of them as tls-server-name, or in the address of the server)",
		},
		{
			name: "a certificate that has expired",
			err:  x509.CertificateInvalidError{Cert: cert, Reason: x509.Expired},
			want: "verify the server's certificate: it is valid from 2025-01-02T03:04:05Z to 2026-01-02T03:04:05Z (is the clock of this machine right?)",
		},
		{
			name: "a server without TLS",
			err:  tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"},
			want: "speak TLS: " + server + " does not (is the port wrong, or is it http?)",
		},
		{
			name:   "a rejected client certificate",
			err:    rejected,
			access: access{certOrigin: "/etc/podgate/tls.crt"},
			want:   "the server rejected the TLS handshake: tls: bad certificate (is the client certificate in /etc/podgate/tls.crt valid, and of a CA that the server trusts?)",
		},
		{
			name: "a missing client certificate",
			err:  rejected,
			want: "the server rejected the TLS handshake: tls: bad certificate (no client certificate is configured)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := connectError(fmt.Errorf("wrapped: %w", tt.err), server, tt.access)
			if got == nil || got.Error() != tt.want {
				t.Errorf("error %v, want %s", got, tt.want)
			}
		})
	}
	if err := connectError(errors.New("connection refused"), server, access{}); err != nil {
		t.Errorf("error %v for a refused connection, want nil", err)
	}
}
