// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"strings"
	"testing"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

func TestCertificatesComeFromSecrets(t *testing.T) {
	tw := newTLSTown(t)
	tw.certify("wild.pem", "wild.test", "*.shop.test", "cart.shop.test")
	tw.service("cart", map[string]string{"host": "cart.shop.test", "sslTerm": "true", "tls-secret": "cart-tls"}, newPod(t, "cart"))
	tw.service("other", map[string]string{"host": "other.shop.test", "sslTerm": "true"}, newPod(t, "other"))
	secret := func(names ...string) []byte {
		text := haproxytest.Certificate(t, names...)
		crt, key := split(text)
		tw.api.SetSecret(&kubeapi.Secret{Key: kubeapi.Key{Namespace: "shop", Name: "cart-tls"}, Certificate: crt, PrivateKey: key})
		return text
	}
	told := func(text string) {
		t.Helper()
		eventually(t, text, func() error {
			if !strings.Contains(tw.log.String(), text) {
				return fmt.Errorf("it is not told")
			}
			return nil
		})
	}
	tw.start()
	tw.awaitCertificate("cart.shop.test", "wild.test")
	told("there is no Secret shop/cart-tls yet")
	secret("first.test", "cart.shop.test", "other.shop.test") // it comes later
	tw.awaitCertificate("cart.shop.test", "first.test")
	if got := tw.shows("other.shop.test"); got != "wild.test" {
		t.Errorf("a host of another Service shows %q", got)
	}
	secret("second.test", "*.shop.test") // it is renewed
	tw.awaitCertificate("cart.shop.test", "second.test")
	secret("wrong.test") // for somebody else
	told("Secret shop/cart-tls is not for host cart.shop.test but for wrong.test")
	secret("third.test", "cart.shop.test")
	tw.awaitCertificate("cart.shop.test", "third.test")
	crt, _ := split(haproxytest.Certificate(t, "cart.shop.test"))
	tw.api.SetSecret(&kubeapi.Secret{Key: kubeapi.Key{Namespace: "shop", Name: "cart-tls"}, Certificate: crt, PrivateKey: []byte("none")})
	told("Secret shop/cart-tls: holds no private key in PEM; the certificate in service stays")
	// podgate begins anew, with no good Secret in sight.
	tw.stop()
	tw.start()
	tw.certify("next.pem", "next.test")
	tw.awaitCertificate("next.test", "next.test")
	if got := tw.shows("cart.shop.test"); got != "third.test" {
		t.Errorf("after a restart cart.shop.test shows %q", got)
	}
	if got := tw.passes.reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
	tw.checkKeysAreKept()
}
