// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"os"
	"testing"
	"time"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

// TestAnotherNamespaceTakesNothingOfAHost has a younger Service of another namespace
// claim a wildcard with its own certificate, and hosts below it.
func TestAnotherNamespaceTakesNothingOfAHost(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.Set("kubernetes.namespaces", []string{"shop", "evil"})
	e.setHTTPS(t)
	e.certify(t, "wild.pem", "wild.test", "*.shop.test")
	put := func(namespace, name string, age time.Duration, annotations map[string]string) {
		t.Helper()
		must(t, e.Cluster.PutService(kubeapi.Service{
			Key: kubeapi.Key{Namespace: namespace, Name: name}, Created: time.Now().Add(-age), Annotations: annotations,
		}))
	}
	put("shop", "bank", time.Hour, map[string]string{"host": "bank.shop.test", "path": "/account", "sslTerm": "true"})
	e.endpoints(t, "bank", newPod(t, "bank-0"))
	put("shop", "byname", time.Hour, nil)
	e.endpoints(t, "byname", newPod(t, "byname-0"))
	e.start(t)
	e.awaitTLSAnswer(t, "bank.shop.test", "/account", "200 bank-0 /account")
	e.awaitCertificate(t, "bank.shop.test", "wild.test")
	e.awaitCertificate(t, "other.shop.test", "wild.test")

	crt, key := split(haproxytest.Certificate(t, "evil.test", "*.shop.test"))
	secret := kubeapi.Key{Namespace: "evil", Name: "tls"}
	e.Cluster.SetSecret(&kubeapi.Secret{Key: secret, Certificate: crt, PrivateKey: key})
	put("evil", "zone", time.Minute, map[string]string{"host": "*.shop.test", "sslTerm": "true", "tls-secret": "tls"})
	put("evil", "plain", time.Minute, map[string]string{"host": "*.shop.test, bank.shop.test"})
	put("evil", "login", time.Minute, map[string]string{"host": "bank.shop.test", "path": "/account/login", "sslTerm": "true"})
	put("evil", "name", time.Minute, nil)
	const noServer = "503 <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>"
	e.awaitCertificate(t, "other.shop.test", "evil.test")
	e.awaitTLSAnswer(t, "other.shop.test", "/", noServer)
	e.awaitAnswer(t, "any", "/name", noServer)
	e.awaitCertificate(t, "bank.shop.test", "wild.test")
	e.awaitTLSAnswer(t, "bank.shop.test", "/account/login", "200 bank-0 /account/login")
	for _, path := range []string{"/", "/name", "/else"} { // no other namespace answers
		e.awaitAnswer(t, "bank.shop.test", path, notFound)
		e.awaitTLSAnswer(t, "bank.shop.test", path, notFound)
	}
	e.awaitAnswer(t, "bank.shop.test", "/byname/", "200 byname-0 /") // the Services of its own do
	e.awaitLog(t, "host bank.shop.test belongs to namespace shop, whose Service shop/bank port web is older")

	e.Cluster.Delete("Service", "evil", "zone")
	e.awaitCertificate(t, "other.shop.test", "wild.test")
	e.awaitCertificate(t, "bank.shop.test", "wild.test")
}

// TestABackendNameOfTheOperatorIsReportedWithoutAFailedReload has a Service whose
// backend-name is that of a section in the operator's own file.
func TestABackendNameOfTheOperatorIsReportedWithoutAFailedReload(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	base, err := os.ReadFile(e.HAProxy.Base)
	must(t, err)
	must(t, os.WriteFile(e.HAProxy.Base, append(base, "\nbackend theirs\n  mode http\n"...), 0o600))
	e.service(t, "cart", map[string]string{"backend-name": "theirs"}, newPod(t, "cart-0"))
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.awaitLog(t, `backend name theirs is in use by section \"backend theirs\" of `+e.HAProxy.Base)
	e.awaitLogCount(t, "rejects", 0)
	e.awaitLogCount(t, "msg=reloaded", 1)
}

// TestAHeldHostOfOneFrontendIsNoDifference has no TLS frontend, whose maps HAProxy then
// does not load.
func TestAHeldHostOfOneFrontendIsNoDifference(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.set(t, "kubernetes.namespaces", []string{"shop", "evil"})
	e.service(t, "bank", map[string]string{"host": "bank.shop.test", "path": "/account"}, newPod(t, "bank-0"))
	e.start(t)
	e.awaitAnswer(t, "bank.shop.test", "/account", "200 bank-0 /account")
	e.service(t, "late", map[string]string{"host": "late.shop.test", "path": "/late"}, newPod(t, "late-0"))
	e.awaitAnswer(t, "late.shop.test", "/late", "200 late-0 /late")
	e.service(t, "bank", map[string]string{"host": "new.shop.test", "path": "/account"}, e.pods["bank"]...) // at run time
	e.awaitAnswer(t, "new.shop.test", "/account", "200 bank-0 /account")
	e.awaitNoDifference(t)
}
