// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"podgate/haproxy"
)

const (
	// maxPEM is the number of bytes of certificate, chain and key. Clients with OpenSSL
	// accept a chain of 100 KiB (SSL_CTX_set_max_cert_list).
	maxPEM = 100 << 10
	// maxNames is the number of bytes of all names. HAProxy shows as many as fit a buffer,
	// whose default tune.bufsize is 16384.
	maxNames = 9 << 10
	// minRSA is the length in bits of the shortest RSA key that OpenSSL accepts at its
	// security level 2, Debian's default.
	minRSA = 2048
)

// parse parses a certificate, its chain and its key in PEM. The certificate is first,
// the order of its chain does not matter. Source is shown to operators, and the Name
// is derived from it. The Certificate serves no names yet. The error is why HAProxy
// cannot or should not serve it, and never contains a part of the key. If the
// certificate is only expired, not valid yet or too long, parse returns both the
// Certificate and the error of usable.
func parse(source string, certificates, key []byte, now time.Time) (haproxy.Certificate, error) {
	chain := blocksOf(certificates, "CERTIFICATE")
	if len(chain) == 0 {
		return haproxy.Certificate{}, errors.New("holds no certificate in PEM")
	}
	keyBlock, err := keyOf(key)
	if err != nil {
		return haproxy.Certificate{}, err
	}
	certPEM, keyPEM := encode(chain...), encode(keyBlock)
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return haproxy.Certificate{}, errors.New(strings.TrimPrefix(err.Error(), "tls: "))
	}
	leaf := pair.Leaf
	for i, block := range chain {
		c, err := x509.ParseCertificate(block.Bytes)
		if err == nil {
			err = checkStrength(c)
		}
		if err != nil && i > 0 {
			err = fmt.Errorf("certificate %d of its chain: %w", i, err)
		}
		if err != nil {
			return haproxy.Certificate{}, err
		}
	}
	c := haproxy.Certificate{
		Name:        fileName(source),
		Source:      source,
		Names:       dnsNames(leaf),
		Algorithm:   leaf.PublicKeyAlgorithm.String(),
		NotBefore:   leaf.NotBefore,
		NotAfter:    leaf.NotAfter,
		Fingerprint: fmt.Sprintf("%X", sha1.Sum(leaf.Raw)),
		PEM:         append(certPEM, keyPEM...),
	}
	c.Digest = c.PEM.Digest()
	return c, usable(c, now)
}

// usable returns why a well-formed certificate should not be served at this time.
func usable(c haproxy.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("expired on %s", c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return fmt.Errorf("is not valid before %s", c.NotBefore.UTC().Format(time.RFC3339))
	case len(c.PEM) > maxPEM:
		return fmt.Errorf("has %d bytes with its chain and key, more than the %d that TLS clients accept", len(c.PEM), maxPEM)
	case len(strings.Join(c.Names, "")) > maxNames:
		return fmt.Errorf("has %d names of %d bytes, more than the %d that HAProxy shows at run time", len(c.Names), len(strings.Join(c.Names, "")), maxNames)
	}
	return nil
}

func blocksOf(text []byte, kind string) (blocks []*pem.Block) {
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return blocks
		}
		if b.Type == kind {
			blocks = append(blocks, b)
		}
	}
}

// keyOf returns the first private key in a PEM text, which may also contain
// certificates.
func keyOf(text []byte) (*pem.Block, error) {
	encrypted := false
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			break
		}
		if !strings.HasSuffix(b.Type, "PRIVATE KEY") {
			continue
		}
		if b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != "" {
			encrypted = true
			continue
		}
		return b, nil
	}
	if encrypted {
		return nil, errors.New("its key is encrypted, and podgate has no password for it (store the key without one)")
	}
	return nil, errors.New("holds no private key in PEM")
}

// encode encodes blocks as PEM, without headers and without text between them.
func encode(blocks ...*pem.Block) []byte {
	var text bytes.Buffer
	for _, b := range blocks {
		_ = pem.Encode(&text, &pem.Block{Type: b.Type, Bytes: b.Bytes}) // writing to a bytes.Buffer does not fail
	}
	return text.Bytes()
}

// checkStrength rejects what OpenSSL rejects at its security level 2: with one such
// certificate HAProxy would not start.
func checkStrength(c *x509.Certificate) error {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA {
			return fmt.Errorf("its RSA key has %d bits, less than %d", bits, minRSA)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return fmt.Errorf("its key is %s, not RSA, ECDSA or Ed25519", c.PublicKeyAlgorithm)
	}
	root := bytes.Equal(c.RawSubject, c.RawIssuer)
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		if !root {
			return fmt.Errorf("is signed with %s, which is insecure", c.SignatureAlgorithm)
		}
	}
	return nil
}

// dnsNames returns the DNS names of a certificate, in lower case, sorted, each once.
// The common name counts only if the certificate has no subject alternative name.
func dnsNames(c *x509.Certificate) []string {
	names := c.DNSNames
	if len(names) == 0 && len(c.IPAddresses) == 0 {
		names = []string{c.Subject.CommonName}
	}
	var good []string
	for _, n := range names {
		if n = strings.ToLower(strings.TrimSuffix(n, ".")); haproxy.IsCertificateName(n) {
			good = append(good, n)
		}
	}
	slices.Sort(good)
	return slices.Compact(good)
}

// fileName returns the Name of the Certificate of a source. It is readable, and
// different for every source.
func fileName(source string) string {
	base := path.Base(source)
	switch base { // the names of certbot and Kubernetes, in a folder for each certificate
	case "fullchain.pem", "tls.crt":
		base = path.Base(path.Dir(source))
	}
	base = strings.TrimSuffix(base, path.Ext(base))
	clean := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, base)
	clean = strings.TrimLeft(clean, ".-")
	sum := sha256.Sum256([]byte(source))
	return fmt.Sprintf("%s-%x.pem", cmp.Or(clean[:min(len(clean), 100)], "certificate"), sum[:4])
}

// authorities returns only the certificates of a CA bundle in PEM.
func authorities(text []byte) ([]byte, error) {
	blocks := blocksOf(text, "CERTIFICATE")
	if len(blocks) == 0 {
		return nil, errors.New("holds no certificate in PEM")
	}
	for i, b := range blocks {
		if _, err := x509.ParseCertificate(b.Bytes); err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
	}
	return encode(blocks...), nil
}
