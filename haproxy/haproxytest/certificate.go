// SPDX-License-Identifier: Apache-2.0

package haproxytest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// Certificate returns a new self-signed certificate and its key in PEM, for host
// names and IP addresses, valid for a day.
func Certificate(t TB, names ...string) []byte {
	t.Helper()
	return CertificateUntil(t, time.Now().Add(24*time.Hour), names...)
}

// CertificateUntil is Certificate with an end of the validity.
func CertificateUntil(t TB, end time.Time, names ...string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("%v", err)
	}
	text, err := SelfSigned(key, end.Add(-48*time.Hour), end, names...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return text
}

// SelfSigned is CertificateUntil outside of a test, with a key and a beginning of the
// validity.
func SelfSigned(key crypto.Signer, begin, end time.Time, names ...string) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: names[0]},
		NotBefore:    begin,
		NotAfter:     end,
		IsCA:         true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, block := range []pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := pem.Encode(&text, &block); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}
