// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/cluster"
	"podgate/daemon/compile"
	"podgate/haproxy"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

func TestAHostOfAnotherNamespaceKeepsItsCertificate(t *testing.T) {
	many := make([]string, maxExceptions+1)
	for i := range many {
		many[i] = fmt.Sprintf("%d.shop.test", i)
	}
	key, bank := kubeapi.Key{Namespace: "shop", Name: "tls"}, kubeapi.Key{Namespace: "bank", Name: "tls"}
	zone := haproxytest.Certificate(t, "*.shop.test")
	file := haproxy.Certificate{Name: "file.pem", Source: "file.pem", Names: []string{"*.shop.test"}}
	for _, row := range []struct {
		name   string
		files  []haproxy.Certificate
		except []string
		own    bool // bank has a Secret for bank.shop.test
		want   []string
	}{
		{"a file serves the host, and the Secret the other hosts of the wildcard", []haproxy.Certificate{file}, []string{"bank.shop.test"}, false,
			[]string{"file.pem bank.shop.test", secretName(key) + " *.shop.test !bank.shop.test"}},
		{"a host without a certificate has none", nil, []string{"bank.shop.test"}, false,
			[]string{secretName(key) + " *.shop.test !bank.shop.test"}},
		{"a host has the Secret of its own namespace", []haproxy.Certificate{file}, []string{"bank.shop.test"}, true,
			[]string{"file.pem", secretName(bank) + " bank.shop.test", secretName(key) + " *.shop.test !bank.shop.test"}},
		{"a wildcard with too many hosts of other namespaces is not served", []haproxy.Certificate{file}, many, false,
			[]string{"file.pem *.shop.test", "the certificate of Secret shop/tls is not served for *.shop.test: other namespaces hold 1001 of its hosts, more than 1000"}},
	} {
		s := New(slog.New(slog.DiscardHandler))
		s.Update(Set{Files: &compile.TLSFiles{}, Certificates: row.files})
		r := withSecret("tls", "*.shop.test")
		r.Secrets[0].Except = row.except
		read := map[kubeapi.Key]cluster.Secret{key: secretOf(zone)}
		if row.own {
			r.Secrets = append([]compile.Secret{{Key: bank, Hosts: []string{"bank.shop.test"}}}, r.Secrets...)
			read[bank] = secretOf(haproxytest.Certificate(t, "bank.shop.test"))
		}
		s.UpdateSecrets(read)
		got := s.Choose(r)
		if diff := cmp.Diff(row.want, shown(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
		if len(row.except) == 1 {
			for _, c := range haproxy.ShownFor("bank.shop.test", got.Certificates) {
				if c.Name == secretName(key) {
					t.Errorf("%s: the host is served by the Secret of another namespace", row.name)
				}
			}
		}
	}
}
