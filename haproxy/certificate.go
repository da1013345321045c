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
	Name   string // of its file in our folder, "shop.example.com-1f2e3d4c.pem"
	Source string // where it is from, for people: a file, or "Secret shop/tls"
	// Names are those that it was issued for, and Serves those that clients get
	// it for, by SNI; both lower case and sorted, "*.example.com" for one label.
	// A Certificate that serves none is the default one, or it is not used.
	Names, Serves []string
	Algorithm     string    // of its key, "RSA", "ECDSA" or "Ed25519"; a name may have a certificate of each
	NotBefore     time.Time // its validity
	NotAfter      time.Time
	// Fingerprint is the SHA-1 of the certificate in capital hexadecimal, which
	// is what HAProxy shows of it ("show ssl cert").
	Fingerprint string
	Digest      string // of PEM; "" of one that was observed and differs from what is on disk
	PEM         PEM    // nil of one that was observed
}

// PEM is a certificate, its chain and its key. It shows itself to nobody but
// who asks for its bytes.
type PEM []byte

// Format prints what it is and not what it holds, whatever the verb.
func (PEM) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(key)") }

// MarshalText writes what it is and not what it holds: JSON and logs get that.
func (PEM) MarshalText() ([]byte, error) { return []byte("(key)"), nil }

// Leaf is the first certificate, which is the one that is served.
func (p PEM) Leaf() (*x509.Certificate, error) {
	for block, rest := pem.Decode(p); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, errors.New("no certificate in PEM")
}

// Fingerprint is that of the Certificate; "" if there is none.
func (p PEM) Fingerprint() string {
	leaf, err := p.Leaf()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%X", sha1.Sum(leaf.Raw))
}

// Digest is the hash by which contents are compared.
func (p PEM) Digest() string { return fmt.Sprintf("%x", sha256.Sum256(p)) }

// String is "shop.example.com-1f2e3d4c.pem a.example.com *.b.example.com".
func (c Certificate) String() string {
	return strings.Join(append([]string{c.Name}, c.Serves...), " ")
}

// Termination says how a frontend ends TLS. The zero Termination ends none.
type Termination struct {
	MinVersion   string // configuration.txt "ssl-min-ver"
	Ciphers      string // of TLS 1.2, "ciphers"
	CipherSuites string // of TLS 1.3, "ciphersuites"
	ALPN         string // "h2,http/1.1"; "" for none
	// Default is the Name of the Certificate for clients that name no host, or
	// one that no Certificate is for; "" rejects them ("strict-sni").
	Default      string
	ClientCA     string // file with the authorities of client certificates, absolute; "" asks for none
	ClientVerify Verify // of no meaning without ClientCA
}

// Verify says what becomes of a client without a certificate. One that ClientCA
// did not issue is rejected in any case.
type Verify string

// The ways to verify clients (configuration.txt "verify").
const (
	VerifyOptional Verify = "optional"
	VerifyRequired Verify = "required"
)

// EndsTLS reports whether any frontend ends TLS, and so has use for Certificates.
func (s State) EndsTLS() bool {
	return slices.ContainsFunc(s.Frontends, func(f Frontend) bool { return f.TLS != Termination{} })
}

// DefaultCertificate is the Name of the default Certificate, "" if there is none.
func (s State) DefaultCertificate() string {
	for _, f := range s.Frontends {
		if f.TLS.Default != "" {
			return f.TLS.Default
		}
	}
	return ""
}

// ShownFor are those of some Certificates that a client may be shown who asks for
// a name (SNI): that of the very name, or else that of its wildcard, one for each
// kind of key, among which the client chooses. There is none for a name that no
// Certificate serves.
func ShownFor(name string, all []Certificate) []Certificate {
	for _, pattern := range HostPattern(name).Lookups() {
		var found []Certificate
		for _, c := range all {
			if slices.Contains(c.Serves, string(pattern)) {
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
	AddCertificate    CertificateOp = "add"    // one that HAProxy does not have
	RenewCertificate  CertificateOp = "renew"  // another content under the same Name
	ServeCertificate  CertificateOp = "serve"  // the same content for other names
	DeleteCertificate CertificateOp = "delete" // it serves no longer
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

// diffCertificates merges the two lists, both sorted by Name. What serves new
// names comes before what stops serving them.
func (p *Plan) diffCertificates(have, want []Certificate) {
	byName := func(a, b *Certificate) int { return cmp.Compare(a.Name, b.Name) }
	for h, w := range mergeSlices(have, want, byName) {
		switch {
		case w == nil:
			p.DropCertificates = append(p.DropCertificates, CertificateChange{DeleteCertificate, *h})
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

// WithoutDefaultCertificate returns the State with no Termination that has a
// default one.
func (s State) WithoutDefaultCertificate() State {
	s.Frontends = slices.Clone(s.Frontends)
	for i := range s.Frontends {
		s.Frontends[i].TLS.Default = ""
	}
	return s
}
