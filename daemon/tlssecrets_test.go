// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

func TestCertificatesComeFromSecrets(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "wild.pem", "wild.test", "*.shop.test", "cart.shop.test")
	e.service(t, "cart", map[string]string{"host": "cart.shop.test", "sslTerm": "true", "tls-secret": "cart-tls"}, newPod(t, "cart"))
	e.service(t, "other", map[string]string{"host": "other.shop.test", "sslTerm": "true"}, newPod(t, "other"))
	var keys [][]byte
	secret := func(names ...string) {
		crt, key := split(haproxytest.Certificate(t, names...))
		keys = append(keys, key)
		e.Cluster.SetSecret(&kubeapi.Secret{Key: kubeapi.Key{Namespace: "shop", Name: "cart-tls"}, Certificate: crt, PrivateKey: key})
	}
	told := func(text string) {
		t.Helper()
		eventually(t, text, func() error {
			if !strings.Contains(e.Log.String(), text) {
				return fmt.Errorf("it is not told")
			}
			return nil
		})
	}
	e.start(t)
	e.awaitCertificate(t, "cart.shop.test", "wild.test")
	told("Secret shop/cart-tls does not exist")
	secret("first.test", "cart.shop.test", "other.shop.test") // it comes later
	e.awaitCertificate(t, "cart.shop.test", "first.test")
	if got := e.shows("other.shop.test"); got != "wild.test" {
		t.Errorf("a host of another Service shows %q", got)
	}
	secret("second.test", "*.shop.test") // it is renewed
	e.awaitCertificate(t, "cart.shop.test", "second.test")
	secret("wrong.test") // for somebody else
	told("the certificate of Secret shop/cart-tls is for wrong.test, not for host cart.shop.test")
	secret("third.test", "cart.shop.test")
	e.awaitCertificate(t, "cart.shop.test", "third.test")
	lone, _ := split(haproxytest.Certificate(t, "cart.shop.test"))
	e.Cluster.SetSecret(&kubeapi.Secret{Key: kubeapi.Key{Namespace: "shop", Name: "cart-tls"}, Certificate: lone, PrivateKey: []byte("none")})
	told("Secret shop/cart-tls: holds no private key in PEM; the certificate in service stays")
	garbage := []byte("no key at all, but one that nobody else is to read either")
	keys = append(keys, garbage)
	e.Cluster.SetSecret(&kubeapi.Secret{
		Key: kubeapi.Key{Namespace: "shop", Name: "cart-tls"}, Certificate: lone,
		PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: garbage}),
	})
	told("Secret shop/cart-tls: failed to parse private key; the certificate in service stays")
	// podgate begins anew, with no good Secret in sight.
	e.stop(t)
	e.start(t)
	e.certify(t, "next.pem", "next.test")
	e.awaitCertificate(t, "next.test", "next.test")
	if got := e.shows("cart.shop.test"); got != "third.test" {
		t.Errorf("after a restart cart.shop.test shows %q", got)
	}
	if got := e.Reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
	e.checkKeysAreKept(t, keys...)
}
