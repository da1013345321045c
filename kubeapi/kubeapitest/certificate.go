// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// CertificatePEM returns the certificate of StartTLS, which is its own CA; nil before
// StartTLS.
func (s *Server) CertificatePEM() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.certPEM)
}

// makeCertificate makes the server's certificate, once.
func (s *Server) makeCertificate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cert != nil {
		return nil
	}
	cert, key, err := SelfSigned()
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	s.cert, s.certPEM = &pair, cert
	return err
}

// SelfSigned returns a new certificate that is its own CA, for clients and for a server
// at 127.0.0.1, ::1 and localhost, with its key, in PEM.
func SelfSigned() (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate: %v", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate: %v", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}
