// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/cluster"
	"podgate/daemon/compile"
	"podgate/haproxy"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
)

// withSecret is what Compile returns for a Service that names a Secret.
func withSecret(secret string, hosts ...string) *compile.Result {
	return &compile.Result{
		State: haproxy.State{Frontends: []haproxy.Frontend{{Name: "https", TLS: haproxy.Termination{MinVersion: "TLSv1.2"}}}},
		Secrets: []compile.Secret{{
			Key:     kubeapi.Key{Namespace: "shop", Name: secret},
			Hosts:   hosts,
			Service: compile.ServicePort{Service: kubeapi.Key{Namespace: "shop", Name: "cart"}, Number: 80},
		}},
	}
}

// secretOf is a Secret with this certificate and key, as the API server returns it.
func secretOf(text []byte) cluster.Secret {
	return cluster.Secret{Content: &kubeapi.Secret{Certificate: text, PrivateKey: text}}
}

func shown(c Choice) (lines []string) {
	for _, c := range c.Certificates {
		lines = append(lines, c.String())
	}
	for _, p := range c.Services {
		lines = append(lines, p.Text)
	}
	return lines
}

func TestSecretsAreServedForTheHostsOfTheirServices(t *testing.T) {
	good, other := haproxytest.Certificate(t, "cart.test", "*.zone.test"), haproxytest.Certificate(t, "other.test")
	key := kubeapi.Key{Namespace: "shop", Name: "tls"}
	name := secretName(key)
	for _, row := range []struct {
		name  string
		hosts []string
		reads []cluster.Secret // one after the other
		want  []string
	}{
		{"a Secret is served for the host of its Service", []string{"cart.test"}, []cluster.Secret{secretOf(good)}, []string{name + " cart.test"}},
		{"a wildcard is served for a host in its zone", []string{"a.zone.test"}, []cluster.Secret{secretOf(good)}, []string{name + " a.zone.test"}},
		{"a Secret that does not exist is reported", []string{"cart.test"}, []cluster.Secret{{Err: fmt.Errorf("read: %w", kubeapi.ErrNoSecret)}},
			[]string{"Secret shop/tls does not exist"}},
		{"a Secret that was deleted is no longer served", []string{"cart.test"}, []cluster.Secret{secretOf(good), {Err: kubeapi.ErrNoSecret}},
			[]string{"Secret shop/tls does not exist"}},
		{"a Secret that cannot be read stays as it was", []string{"cart.test"}, []cluster.Secret{secretOf(good), {Err: errors.New("read Secret shop/tls: 403 Forbidden")}},
			[]string{name + " cart.test", "read Secret shop/tls: 403 Forbidden; the certificate in service stays"}},
		{"a Secret that breaks stays as it was", []string{"cart.test"}, []cluster.Secret{secretOf(good), secretOf([]byte("none"))},
			[]string{name + " cart.test", "Secret shop/tls: holds no certificate in PEM; the certificate in service stays"}},
		{"a Secret for another host is not served", []string{"cart.test"}, []cluster.Secret{secretOf(other)},
			[]string{"the certificate of Secret shop/tls is for other.test, not for host cart.test"}},
		{"a Service without host has no name to serve it for", nil, []cluster.Secret{secretOf(good)},
			[]string{"requires the annotation host, which names the hosts to show the certificate for"}},
	} {
		s := New(slog.New(slog.DiscardHandler))
		s.Update(Set{Files: &compile.TLSFiles{}})
		for _, read := range row.reads {
			s.UpdateSecrets(map[kubeapi.Key]cluster.Secret{key: read})
		}
		if diff := cmp.Diff(row.want, shown(s.Choose(withSecret("tls", row.hosts...)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}

func TestTheFirstCertificateIsTheDefault(t *testing.T) {
	dir := t.TempDir()
	folder, file, given := filepath.Join(dir, "certificates"), filepath.Join(dir, "a.pem"), filepath.Join(dir, "given.pem")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(path string, text []byte) string {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate := func(path string) string { return write(path, haproxytest.Certificate(t, "a.test")) }
	c, b := certificate(filepath.Join(folder, "c.pem")), certificate(filepath.Join(folder, "b.pem"))
	certificate(file)
	certificate(given)
	for _, row := range []struct {
		name   string
		source Source
		want   string // a path
	}{
		{"the first path, and its first file", Source{Paths: []string{folder, file}, FirstIsDefault: true}, b},
		{"another order of the paths", Source{Paths: []string{file, folder}, FirstIsDefault: true}, file},
		{"default_certificate has priority", Source{Paths: []string{file, folder}, Default: given, FirstIsDefault: true}, given},
		{"not without service_loadbalancer", Source{Paths: []string{file, folder}}, ""},
		{"no certificate", Source{Paths: []string{filepath.Join(dir, "missing")}, FirstIsDefault: true}, ""},
	} {
		want := ""
		if row.want != "" {
			want = fileName(row.want)
		}
		if set, _ := newReader(row.source).Read(); set.Files.Default != want {
			t.Errorf("%s: got %q, want %q", row.name, set.Files.Default, want)
		}
	}

	r := newReader(Source{Paths: []string{folder + "/"}, FirstIsDefault: true})
	steps := []struct {
		name   string
		change func()
		want   string
	}{
		{"at the start", func() {}, b},
		{"its file is invalid", func() { write(b, []byte("x")) }, b},
		{"still invalid", func() {}, b},
		{"its file is missing once", func() { _ = os.Remove(b) }, b},
		{"its file is missing", func() {}, c},
	}
	for _, step := range steps {
		step.change()
		if set, _ := r.Read(); set.Files.Default != fileName(step.want) {
			t.Errorf("%s: got %q, want %q", step.name, set.Files.Default, fileName(step.want))
		}
	}
}

func TestASecretIsServedInsteadOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wild.pem")
	if err := os.WriteFile(file, haproxytest.Certificate(t, "cart.test", "other.test"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := ReadOnce(Source{Paths: []string{file}})
	key := kubeapi.Key{Namespace: "shop", Name: "tls"}
	s.UpdateSecrets(map[kubeapi.Key]cluster.Secret{key: secretOf(haproxytest.Certificate(t, "cart.test"))})
	want := []string{secretName(key) + " cart.test", fileName(file) + " other.test"}
	slices.Sort(want)
	if diff := cmp.Diff(want, shown(s.Choose(withSecret("tls", "cart.test")))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASecretIsReportedWhenItExpires(t *testing.T) {
	text := haproxytest.Certificate(t, "cart.test")
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	s := New(slog.New(slog.DiscardHandler))
	now := leaf.NotAfter
	s.now = func() time.Time { return now }
	s.Update(Set{Files: &compile.TLSFiles{}})
	s.UpdateSecrets(map[kubeapi.Key]cluster.Secret{{Namespace: "shop", Name: "tls"}: secretOf(text)})
	before := s.Choose(withSecret("tls", "cart.test"))
	if len(before.Services) > 0 {
		t.Errorf("reported while it is valid: %s", before.Services)
	}
	if again := s.Choose(withSecret("tls", "cart.test")); &again.Certificates[0] != &before.Certificates[0] {
		t.Error("nothing changed, but the certificates are another slice")
	}
	now = now.Add(time.Second)
	got := s.Choose(withSecret("tls", "cart.test"))
	if len(got.Certificates) != 1 || len(got.Services) != 1 || !strings.Contains(got.Services[0].Text, "expired on") {
		t.Errorf("got %q, want the certificate in service and that it expired", shown(got))
	}
}

func TestWithoutATLSFrontendNoCertificateIsChosen(t *testing.T) {
	s := ReadOnce(Source{Paths: []string{filepath.Join(t.TempDir(), "missing.pem")}})
	c := s.Choose(&compile.Result{})
	if len(c.Certificates) != 0 || len(c.Problems) != 1 {
		t.Errorf("got %d certificates and the problems %q, want none and one", len(c.Certificates), c.Problems)
	}
}
