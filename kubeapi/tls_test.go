// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

func serveTLS(t *testing.T) *kubeapitest.Server {
	t.Helper()
	s := kubeapitest.New()
	setService(t, s, "cart")
	if err := s.StartTLS(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func TestTLSVerification(t *testing.T) {
	s, other := serveTLS(t), serveTLS(t)
	data := base64.StdEncoding.EncodeToString(s.CertificatePEM())
	for _, tt := range []struct {
		name     string
		cluster  string
		err      string
		warnings []string
	}{
		{name: "the CA of the kubeconfig", cluster: "certificate-authority-data: " + data},
		{name: "the CA, and the name in its certificate", cluster: "tls-server-name: localhost, certificate-authority-data: " + data},
		{
			name:    "the CA, and another name",
			cluster: "tls-server-name: api.example.com, certificate-authority-data: " + data,
			err:     `list services in namespace "shop": verify the server's certificate: it is for localhost, 127.0.0.1, ::1, not for api.example.com (name one of them as tls-server-name, or in the address of the server)`,
		},
		{
			name:    "another CA",
			cluster: "certificate-authority-data: " + base64.StdEncoding.EncodeToString(other.CertificatePEM()),
			err:     `list services in namespace "shop": verify the server's certificate: signed by an unknown authority (is certificate-authority-data of FILE the CA of URL?)`,
		},
		{
			name: "no CA",
			err:  `list services in namespace "shop": verify the server's certificate: signed by an unknown authority (no CA is configured, so the system's are used)`,
		},
		{
			name:     "no verification",
			cluster:  "insecure-skip-tls-verify: true",
			warnings: []string{`level=WARN msg="API server certificate is not verified" server=URL file=FILE`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config")
			write(t, file, fmt.Sprintf(`
current-context: prod
contexts: [{name: prod, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: %q, %s}}]
`, s.URL(), tt.cluster))
			logs := &logBook{}
			c := newClient(t, kubeapi.Config{Kubeconfig: file, Namespaces: []string{"shop"}}, logs)
			_, err := c.List(t.Context())
			got := ""
			if err != nil {
				got = err.Error()
			}
			named := strings.NewReplacer("URL", s.URL(), "FILE", file)
			if diff := cmp.Diff(named.Replace(tt.err), got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			for i := range tt.warnings {
				tt.warnings[i] = named.Replace(tt.warnings[i])
			}
			if diff := cmp.Diff(tt.warnings, logs.lines("level=WARN")); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// selfSigned returns a client certificate that is its own CA, with its key.
func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	cert, key, err := kubeapitest.SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}
