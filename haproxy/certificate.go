// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Certificate is a certificate with its chain and key, and the names that the
// TLS frontends serve it for.
type Certificate struct {
	Name   string // of its file in podgate's folder, "shop.example.com-1f2e3d4c.pem"
	Source string // its origin, for messages: a file, or "Secret shop/tls"
	// Names are the host names that it was issued for. Serves are those for which
	// HAProxy serves it, by SNI. Both are lower case and sorted; "*.example.com" covers
	// one label. After the names, Serves has the hosts of its wildcards that it does not
	// serve, each as NotServed and the host. A Certificate with an empty Serves is the default one, or unused.
	Names, Serves []string
	Algorithm     string    // of its key, "RSA", "ECDSA" or "Ed25519"; a name may have a certificate of each
	NotBefore     time.Time // its validity
	NotAfter      time.Time
	// Fingerprint is the SHA-1 of the certificate in capital hexadecimal, as in "show
	// ssl cert".
	Fingerprint string
	Digest      string // of PEM; "" for an observed certificate that differs from the file
	PEM         PEM    // nil for an observed certificate
}

// NotServed is the prefix of a host in Certificate.Serves that a wildcard before it does
// not serve (configuration.txt "crt-list").
const NotServed = "!"

// PEM is a certificate, its chain and its key. No format, log or JSON prints its
// bytes.
type PEM []byte

// Format prints "(key)" for every verb.
func (PEM) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(key)") }

// MarshalText returns "(key)", which JSON and logs then contain.
func (PEM) MarshalText() ([]byte, error) { return []byte("(key)"), nil }

// Leaf is the first certificate, which HAProxy serves.
func (p PEM) Leaf() (*x509.Certificate, error) {
	for block, rest := pem.Decode(p); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, errors.New("no certificate in PEM")
}

// Fingerprint is Certificate.Fingerprint; "" if p holds no certificate.
func (p PEM) Fingerprint() string {
	leaf, err := p.Leaf()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%X", sha1.Sum(leaf.Raw))
}

// Digest is a hash that identifies the content.
func (p PEM) Digest() string { return fmt.Sprintf("%x", sha256.Sum256(p)) }

// String is "shop.example.com-1f2e3d4c.pem a.example.com *.b.example.com".
func (c Certificate) String() string {
	return strings.Join(append([]string{c.Name}, c.Serves...), " ")
}

// Termination is how a frontend ends TLS. The zero value does not end TLS.
type Termination struct {
	MinVersion   string // configuration.txt "ssl-min-ver"
	Ciphers      string // of TLS 1.2, "ciphers"
	CipherSuites string // of TLS 1.3, "ciphersuites"
	ALPN         string // "h2,http/1.1"; "" disables ALPN
	// Default is the Name of the Certificate for clients that send no host name, or
	// one that no Certificate serves; "" rejects these clients ("strict-sni").
	Default      string
	ClientCA     string // absolute path of the authorities of client certificates; "" requests no certificate
	ClientVerify Verify // ignored without ClientCA
}

// Verify is whether a client must have a certificate. A certificate that no
// authority of ClientCA issued is always rejected.
type Verify string

// The ways to verify clients (configuration.txt "verify").
const (
	VerifyOptional Verify = "optional"
	VerifyRequired Verify = "required"
)

// EndsTLS reports whether any frontend ends TLS, and so uses Certificates.
func (s State) EndsTLS() bool {
	return slices.ContainsFunc(s.Frontends, func(f Frontend) bool { return f.TLS != Termination{} })
}

// DefaultCertificate is the Name of the default Certificate, "" without one.
func (s State) DefaultCertificate() string {
	for _, f := range s.Frontends {
		if f.TLS.Default != "" {
			return f.TLS.Default
		}
	}
	return ""
}

// ShownFor returns the Certificates that HAProxy may present to a client that sends
// the host name (SNI): those that serve the exact name, or else its wildcard. They
// are one for each type of key, among which the client's TLS version and ciphers
// decide. The result is nil if no Certificate serves the name.
func ShownFor(name string, all []Certificate) []Certificate {
	for _, pattern := range HostPattern(name).Lookups() {
		var found []Certificate
		for _, c := range all {
			if slices.Contains(c.Serves, string(pattern)) && !slices.Contains(c.Serves, NotServed+name) {
				found = append(found, c)
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// CertificateOp is what happens to a Certificate.
type CertificateOp string

// The operations on certificates.
const (
	AddCertificate    CertificateOp = "add"    // a certificate that HAProxy does not have
	RenewCertificate  CertificateOp = "renew"  // new content under the same Name
	ServeCertificate  CertificateOp = "serve"  // the same content for other host names
	DeleteCertificate CertificateOp = "delete" // a certificate that is no longer wanted
)

// CertificateChange is one operation on one Certificate.
type CertificateChange struct {
	Op          CertificateOp
	Certificate Certificate
}

// String is "renew certificate shop.example.com-1f2e3d4c.pem shop.example.com".
func (c CertificateChange) String() string {
	return fmt.Sprintf("%s certificate %s", c.Op, c.Certificate)
}

// diffCertificates merges the two lists, both sorted by Name. Additions and
// renewals come before deletions, so that every host name is served throughout.
func (p *Plan) diffCertificates(have Running, want []Certificate) {
	byName := func(a, b *Certificate) int { return cmp.Compare(a.Name, b.Name) }
	for h, w := range mergeSlices(have.Certificates, want, byName) {
		switch {
		case w == nil:
			p.DropCertificates = append(p.DropCertificates, CertificateChange{DeleteCertificate, *h})
		case have.AtReload[Part{Certificate: w.Name}] != "":
		case h == nil:
			p.Certificates = append(p.Certificates, CertificateChange{AddCertificate, *w})
		default:
			if h.Digest != w.Digest {
				p.Certificates = append(p.Certificates, CertificateChange{RenewCertificate, *w})
			}
			if !slices.Equal(h.Serves, w.Serves) {
				p.Certificates = append(p.Certificates, CertificateChange{ServeCertificate, *w})
			}
		}
	}
}

// WithoutDefaultCertificate returns the State without a default certificate in
// any Termination.
func (s State) WithoutDefaultCertificate() State {
	s.Frontends = slices.Clone(s.Frontends)
	for i := range s.Frontends {
		s.Frontends[i].TLS.Default = ""
	}
	return s
}
