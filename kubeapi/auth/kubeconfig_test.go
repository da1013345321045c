// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// kubeconfigOf returns a kubeconfig of one context, with these fields of its
// cluster and its user.
func kubeconfigOf(cluster, user string) string {
	return `
apiVersion: v1
kind: Config
current-context: prod
contexts:
- name: prod
  context: {cluster: c, user: edge}
clusters:
- name: c
  cluster: {server: "https://10.0.0.1:6443", ` + cluster + `}
users:
- name: edge
  user: {` + user + `}
`
}

func TestKubeconfig(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"ca", "cert", "key"} {
		write(t, dir, file, file+" of the file")
	}
	const server = "https://10.0.0.1:6443"
	for _, tt := range []struct {
		name    string
		text    string
		context string
		want    access
	}{
		{
			name: "files are relative to the kubeconfig",
			text: kubeconfigOf("certificate-authority: ca", "client-certificate: ./cert, client-key: key"),
			want: access{
				server: server, ca: []byte("ca of the file"), caOrigin: "DIR/ca",
				cert: []byte("cert of the file"), certOrigin: "DIR/cert", key: []byte("key of the file"),
			},
		},
		{
			name: "absolute files stay",
			text: kubeconfigOf("certificate-authority: "+dir+"/ca", "tokenFile: "+dir+"/token"),
			want: access{server: server, ca: []byte("ca of the file"), caOrigin: "DIR/ca", tokenFile: "DIR/token"},
		},
		{
			name: "inline data beats the files",
			text: kubeconfigOf("certificate-authority: none, certificate-authority-data: Y2E=",
				"client-certificate: none, client-certificate-data: Y2VydA==, client-key: none, client-key-data: a2V5"),
			want: access{
				server: server, ca: []byte("ca"), caOrigin: "certificate-authority-data of DIR/config",
				cert: []byte("cert"), certOrigin: "client-certificate-data of DIR/config", key: []byte("key"),
			},
		},
		{
			name: "a token",
			text: kubeconfigOf("", "token: 12345"),
			want: access{server: server, token: "12345", tokenOrigin: `the token of user "edge" in DIR/config`},
		},
		{
			name: "a token and a tokenFile",
			text: kubeconfigOf("", "token: abc, tokenFile: token"),
			want: access{server: server, token: "abc", tokenFile: "DIR/token", tokenOrigin: `the token of user "edge" in DIR/config`},
		},
		{
			name: "TLS server name, verification and proxy",
			text: kubeconfigOf("tls-server-name: api.example.com, insecure-skip-tls-verify: true, proxy-url: socks5://10.0.0.9:1080", ""),
			want: access{server: server, serverName: "api.example.com", insecure: true, proxy: "socks5://10.0.0.9:1080"},
		},
		{
			name:    "a context by name, without a user",
			context: "test",
			text:    kubeconfigOf("", "token: abc"),
			want:    access{server: server},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(tt.text, "contexts:\n", "contexts:\n- name: test\n  context: {cluster: c}\n", 1)
			write(t, dir, "config", text)
			got, err := accessFromKubeconfig(dir+"/config", tt.context)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []*string{&got.caOrigin, &got.certOrigin, &got.tokenOrigin, &got.tokenFile} {
				*s = strings.ReplaceAll(*s, dir, "DIR")
			}
			got.files = nil
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(access{})); diff != "" {
				t.Errorf("access (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKubeconfigErrors(t *testing.T) {
	const head = "read kubeconfig DIR/config: "
	for _, tt := range []struct {
		name    string
		text    string
		context string
		want    string
	}{
		{"invalid YAML", "a: [", "", head + "error converting YAML to JSON: yaml: line 1: did not find expected node content"},
		{"an empty file", "", "", head + "no current-context is set (name a context)"},
		{"an unknown context", kubeconfigOf("", ""), "test", head + `no context "test" (it has "prod")`},
		{"no context at all", "current-context: prod", "", head + `no context "prod" (it has none)`},
		{"an unknown cluster", strings.Replace(kubeconfigOf("", ""), "name: c\n", "name: d\n", 1), "", head + `no cluster "c"`},
		{"an unknown user", strings.Replace(kubeconfigOf("", ""), "name: edge\n", "name: other\n", 1), "", head + `no user "edge"`},
		{"no server", strings.Replace(kubeconfigOf("", ""), `server: "https://10.0.0.1:6443"`, `server: ""`, 1), "", head + `cluster "c" has no server`},
		{"an exec plugin", kubeconfigOf("", "exec: {command: aws}"), "", head + `user "edge": exec: apiVersion "" is not supported (client.authentication.k8s.io/v1 and client.authentication.k8s.io/v1beta1 are)`},
		{"an auth provider", kubeconfigOf("", "auth-provider: {name: gcp}"), "", head + `user "edge": auth-provider is not supported, and was removed in Kubernetes 1.26 (use a token, a tokenFile, a client certificate or an exec plugin)`},
		{"a password", kubeconfigOf("", "username: me, password: s3cret"), "", head + `user "edge": username and password are not supported, and were removed in Kubernetes 1.19 (use a token, a tokenFile, a client certificate or an exec plugin)`},
		{"impersonation", kubeconfigOf("", "token: abc, as: admin"), "", head + `user "edge": impersonation by as is not supported (use a token, a tokenFile, a client certificate or an exec plugin of that user itself)`},
		{"a certificate without a key", kubeconfigOf("", "client-certificate-data: Y2VydA=="), "", head + `user "edge": a client-certificate needs its client-key, and the key its certificate`},
		{"a missing file", kubeconfigOf("certificate-authority: none", ""), "", head + `certificate-authority: open DIR/none: no such file or directory`},
		{"data that is not base64", kubeconfigOf("", "client-certificate-data: Y2VydA==, client-key-data: s3cret"), "", head + `client-key-data: illegal base64 data at input byte 4`},
		{"a CA without a certificate", kubeconfigOf("certificate-authority-data: Y2E=", ""), "", `read CA: certificate-authority-data of DIR/config holds no PEM certificate`},
		{"a proxy that is not a URL", kubeconfigOf("proxy-url: 'me:s3cret'", ""), "", `read proxy-url of the kubeconfig: not a URL such as http://10.0.0.1:3128 or socks5://10.0.0.1:1080`},
		{"a missing token file", kubeconfigOf("", "tokenFile: none"), "", `read token file: open DIR/none: no such file or directory`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "config", tt.text)
			_, err := New(Config{Kubeconfig: dir + "/config", Context: tt.context}, nil)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, strings.ReplaceAll(err.Error(), dir, "DIR")); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
