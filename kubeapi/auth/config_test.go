// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "empty", "\n")
	write(t, dir, "binary", "ab\x00cd")
	write(t, dir, "token", "abc")
	const server = "https://10.0.0.1:6443"
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no server", Config{}, `choose the API server: neither a kubeconfig nor a server is set`},
		{"two servers", Config{Kubeconfig: "k", Server: server}, `choose the API server: a kubeconfig and server, CA, token or client certificate exclude each other`},
		{"a kubeconfig and a token", Config{Kubeconfig: "k", TokenFile: "t"}, `choose the API server: a kubeconfig and server, CA, token or client certificate exclude each other`},
		{"a context without a kubeconfig", Config{Server: server, Context: "prod"}, `choose the API server: context "prod" needs a kubeconfig`},
		{"a certificate without a key", Config{Server: server, ClientCertificate: "c"}, `choose the API server: a client certificate needs its key, and the key its certificate`},
		{"a server without a scheme", Config{Server: "10.0.0.1:6443"}, `choose the API server: "10.0.0.1:6443" is not a URL such as https://10.0.0.1:6443`},
		{"a server of another scheme", Config{Server: "unix:///run/api"}, `choose the API server: "unix:///run/api" is not a URL such as https://10.0.0.1:6443`},
		{"a server with a password", Config{Server: "https://me:s3cret@10.0.0.1"}, `choose the API server: "https://me:xxxxx@10.0.0.1" holds a user name, which Kubernetes does not accept`},
		{"a missing kubeconfig", Config{Kubeconfig: dir + "/none"}, `read kubeconfig: open DIR/none: no such file or directory`},
		{"a missing CA", Config{Server: server, CAFile: dir + "/none"}, `read CA file: open DIR/none: no such file or directory`},
		{"a CA without a certificate", Config{Server: server, CAFile: dir + "/token"}, `read CA: DIR/token holds no PEM certificate`},
		{"a missing client certificate", Config{Server: server, ClientCertificate: dir + "/none", ClientKey: dir + "/token"}, `read client certificate: open DIR/none: no such file or directory`},
		{"a missing client key", Config{Server: server, ClientCertificate: dir + "/token", ClientKey: dir + "/none"}, `read client key: open DIR/none: no such file or directory`},
		{"a client certificate file without a certificate", Config{Server: server, ClientCertificate: dir + "/token", ClientKey: dir + "/token"}, `read client certificate in DIR/token: tls: failed to find any PEM data in certificate input`},
		{"a missing token", Config{Server: server, TokenFile: dir + "/none"}, `read token file: open DIR/none: no such file or directory`},
		{"an empty token", Config{Server: server, TokenFile: dir + "/empty"}, `read token file: DIR/empty is empty`},
		{"a token that is not text", Config{Server: server, TokenFile: dir + "/binary"}, `read token file: DIR/binary is not one line of plain text`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.cfg, slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, strings.ReplaceAll(err.Error(), dir, "DIR")); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
