// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// connectError returns err, of a connection to server with a, with what an operator
// can do about it; nil if it is not about names or certificates.
func connectError(err error, server string, a access) error {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return dnsError(e, server)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		ca := "no CA is configured, so the system's are used"
		if a.caOrigin != "" {
			ca = fmt.Sprintf("is %s the CA of %s?", a.caOrigin, server)
		}
		return fmt.Errorf("verify the server's certificate: signed by an unknown authority (%s)", ca)
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("verify the server's certificate: it is for %s, not for %s (name one of them as tls-server-name, or in the address of the server)",
			certificateNames(e.Certificate), e.Host)
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return fmt.Errorf("verify the server's certificate: it is valid from %s to %s (is the clock of this machine right?)",
			e.Cert.NotBefore.UTC().Format(time.RFC3339), e.Cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Errorf("speak TLS: %s does not (is the port wrong, or is it http?)", server)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" {
		hint := "no client certificate is configured"
		if a.certOrigin != "" {
			hint = fmt.Sprintf("is the client certificate in %s valid, and of a CA that the server trusts?", a.certOrigin)
		}
		return fmt.Errorf("the server rejected the TLS handshake: %v (%s)", e.Err, hint)
	}
	return nil
}

func dnsError(e *net.DNSError, server string) error {
	reason := e.Err
	switch {
	case e.IsNotFound:
		reason = "no such name"
	case e.IsTimeout:
		reason = "DNS does not answer"
	}
	if e.Server != "" {
		reason += " (DNS server " + e.Server + ")"
	}
	return fmt.Errorf("look up %s of %s: %s", e.Name, server, reason)
}

// certificateNames returns the names that a certificate is for.
func certificateNames(cert *x509.Certificate) string {
	names := append([]string(nil), cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name"
	}
	return strings.Join(names, ", ")
}
