// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"encoding/pem"
	"testing"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

func TestCertificatesOfSecretsAreServed(t *testing.T) {
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
	e.start(t)
	e.awaitCertificate(t, "cart.shop.test", "wild.test")
	e.awaitLog(t, "Secret shop/cart-tls does not exist")
	secret("first.test", "cart.shop.test", "other.shop.test") // it is created later
	e.awaitCertificate(t, "cart.shop.test", "first.test")
	if got := e.presents("other.shop.test"); got != "wild.test" {
		t.Errorf("a host of another Service presents %q", got)
	}
	secret("second.test", "*.shop.test") // it is renewed
	e.awaitCertificate(t, "cart.shop.test", "second.test")
	secret("wrong.test") // for another host
	e.awaitLog(t, "the certificate of Secret shop/cart-tls is for wrong.test, not for host cart.shop.test")
	secret("third.test", "cart.shop.test")
	e.awaitCertificate(t, "cart.shop.test", "third.test")
	lone, _ := split(haproxytest.Certificate(t, "cart.shop.test"))
	e.Cluster.SetSecret(&kubeapi.Secret{Key: kubeapi.Key{Namespace: "shop", Name: "cart-tls"}, Certificate: lone, PrivateKey: []byte("none")})
	e.awaitLog(t, "Secret shop/cart-tls: holds no private key in PEM; the certificate in service stays")
	garbage := []byte("not a valid key, and secret as well")
	keys = append(keys, garbage)
	e.Cluster.SetSecret(&kubeapi.Secret{
		Key: kubeapi.Key{Namespace: "shop", Name: "cart-tls"}, Certificate: lone,
		PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: garbage}),
	})
	e.awaitLog(t, "Secret shop/cart-tls: failed to parse private key; the certificate in service stays")
	// podgate restarts while the Secret is invalid.
	e.stop(t)
	e.start(t)
	e.certify(t, "next.pem", "next.test")
	e.awaitCertificate(t, "next.test", "next.test")
	if got := e.presents("cart.shop.test"); got != "third.test" {
		t.Errorf("after a restart cart.shop.test presents %q", got)
	}
	e.checkOneReload(t)
	e.checkKeysAreSecret(t, keys...)
}
