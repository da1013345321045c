// SPDX-License-Identifier: Apache-2.0

package realapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// Token returns a new token of a ServiceAccount, like "kubectl create token".
func (c *Cluster) Token(t TB, namespace, account string) string {
	t.Helper()
	var answer struct {
		Status struct{ Token string }
	}
	path := "/api/v1/namespaces/" + namespace + "/serviceaccounts/" + account + "/token"
	err := c.Admin.Do(t.Context(), http.MethodPost, path, JSON, Object{
		"apiVersion": "authentication.k8s.io/v1",
		"kind":       "TokenRequest",
		"spec":       Object{"expirationSeconds": 3600},
	}, &answer)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status.Token
}

// Expiring returns token, signed again with another expiry: a TokenRequest lasts ten
// minutes at least. The API server accepts a token for a minute after it has expired, and
// for ten more seconds if it has accepted it before.
func (c *Cluster) Expiring(t TB, token string, at time.Time) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := Object{}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	claims["iat"], claims["nbf"], claims["exp"] = at.Add(-time.Hour).Unix(), at.Add(-time.Hour).Unix(), at.Unix()
	if text, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(text)
	hash := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, c.issuer, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64) // ES256, RFC 7518 section 3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// As returns a Client with a token instead of the administrator's certificate.
func (c *Cluster) As(t TB, token string) *Client {
	t.Helper()
	return &Client{base: URL, http: c.httpClient(t), token: token}
}

// httpClient returns a client that trusts the CA and presents the certificates.
func (c *Cluster) httpClient(t TB, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	text, err := os.ReadFile(c.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, Certificates: certificates},
		MaxIdleConnsPerHost: 16,
	}}
}

// credentials writes one certificate that is the CA, the server's and the
// administrator's, the key that signs the tokens, and the administrator's kubeconfig. It
// returns the administrator's Client.
func (c *Cluster) credentials(t TB) *Client {
	t.Helper()
	key, keyPEM := newKey(t)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	c.write(t, "ca.crt", cert)
	c.write(t, "admin.crt", cert)
	c.write(t, "admin.key", keyPEM)
	issuer, accounts := newKey(t)
	c.issuer = issuer
	c.write(t, "accounts.key", accounts)
	c.write(t, "admin.kubeconfig", fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: admin
clusters: [{name: test, cluster: {server: %q, certificate-authority: ca.crt}}]
users: [{name: admin, user: {client-certificate: admin.crt, client-key: admin.key}}]
contexts: [{name: admin, context: {cluster: test, user: admin}}]
`, URL))
	pair, err := tls.X509KeyPair(cert, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{base: URL, http: c.httpClient(t, pair)}
}

// newKey returns a new key, also in PEM.
func newKey(t TB) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

func (c *Cluster) write(t TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(c.file(name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}
