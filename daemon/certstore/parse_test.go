// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"

	"podgate/haproxy/haproxytest"
)

// TestWeakKeysAreRejected has keys with which HAProxy does not start on Debian.
func TestWeakKeysAreRejected(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"weak.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	weak := encode(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	weakKey := encode(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	good := haproxytest.Certificate(t, "good.test")
	for _, row := range []struct {
		name              string
		certificates, key []byte
		want              string
	}{
		{"the certificate", weak, weakKey, "its RSA key has 1024 bits, less than 2048"},
		{"a certificate of the chain", slices.Concat(good, weak), good, "certificate 1 of its chain: its RSA key has 1024 bits, less than 2048"},
	} {
		if _, err := parse("/c/a.pem", row.certificates, row.key, time.Now()); err == nil || err.Error() != row.want {
			t.Errorf("%s: got %v, want %s", row.name, err, row.want)
		}
	}
}
