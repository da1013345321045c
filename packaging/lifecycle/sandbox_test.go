// SPDX-License-Identifier: Apache-2.0

//go:build lifecycle

package lifecycle

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"podgate/daemon/edgetest"
	"podgate/kubeapi/kubeapitest"
)

const (
	lineage = "/etc/letsencrypt/live/www.example.com"
	hook    = "/etc/letsencrypt/renewal-hooks/deploy/podgate"
)

// httpsToml returns the first example of tls.md, a section [https].
func httpsToml(t *testing.T) string {
	t.Helper()
	_, text, ok := strings.Cut(readFile(t, "/usr/share/doc/podgate/tls.md"), "\n```toml\n[https]\n")
	text, _, ok2 := strings.Cut(text, "```\n")
	if !ok || !ok2 {
		t.Fatal("tls.md has no example of [https]")
	}
	return "[https]\n" + text
}

// issue renews the certificate like certbot: a new pair of files in the archive, a key
// that only root can read, and the links of the lineage to both.
func issue(t *testing.T, serial int) {
	t.Helper()
	archive := strings.Replace(lineage, "live", "archive", 1)
	for _, folder := range []string{lineage, archive} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	chain, key := fmt.Sprintf("%s/fullchain%d.pem", archive, serial), fmt.Sprintf("%s/privkey%d.pem", archive, serial)
	run(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90",
		"-subj", "/CN=www.example.com", "-addext", "subjectAltName=DNS:www.example.com", "-keyout", key, "-out", chain)
	want(t, "rights of a private key", output("stat", "-c", "%U %a", key), "root 600")
	run(t, "ln", "-sfn", chain, filepath.Join(lineage, "fullchain.pem"))
	run(t, "ln", "-sfn", key, filepath.Join(lineage, "privkey.pem"))
}

// deployHook installs the deploy hook of README.Debian.
func deployHook(t *testing.T) {
	t.Helper()
	text := readFile(t, "/usr/share/doc/podgate/README.Debian")
	script := regexp.MustCompile(`(?m)^ +#!/bin/sh -e\n(?: +\S.*\n)+`).FindString(text)
	if script == "" {
		t.Fatal("README.Debian has no deploy hook")
	}
	indent := len(script) - len(strings.TrimLeft(script, " "))
	script = regexp.MustCompile(fmt.Sprintf("(?m)^ {%d}", indent)).ReplaceAllString(script, "")
	if !strings.Contains(script, "\n# "+hook+"\n") {
		t.Errorf("the deploy hook of README.Debian does not name %s\n%s", hook, script)
	}
	writeFile(t, hook, script, 0o755)
	folder := regexp.MustCompile(`(?m)^ +(install -d .* /etc/podgate/certificates)$`).FindStringSubmatch(text)
	if folder == nil {
		t.Fatal("README.Debian has no command that creates the folder of certificates")
	}
	run(t, "sh", "-ec", folder[1])
}

// deploy runs the hook as certbot does after it renewed a certificate.
func deploy(t *testing.T) {
	t.Helper()
	run(t, "env", "RENEWED_LINEAGE="+lineage, "RENEWED_DOMAINS=www.example.com", hook)
}

// awaitCertificate waits until HAProxy presents the certificate of the lineage.
func awaitCertificate(t *testing.T) {
	t.Helper()
	block, _ := pem.Decode([]byte(readFile(t, lineage+"/fullchain.pem")))
	eventually(t, "HAProxy presents the certificate", func() bool {
		conn, err := tls.Dial("tcp", "127.0.0.1:443", &tls.Config{ServerName: "www.example.com", InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		defer conn.Close()
		return bytes.Equal(conn.ConnectionState().PeerCertificates[0].Raw, block.Bytes)
	})
}

// tlsInTheSandbox installs a certificate with the deploy hook, and renews it while HAProxy
// runs, without a reload.
func tlsInTheSandbox(t *testing.T, c *cluster) {
	t.Helper()
	deployHook(t)
	issue(t, 1)
	deploy(t)
	writeFile(t, configFile, readFile(t, configFile)+httpsToml(t), 0o644)
	run(t, "systemctl", "reload", "podgate")
	p := newPod(t, "www")
	c.serveWith("www", map[string]string{"serviceloadbalancer/lb.host": "www.example.com", "serviceloadbalancer/lb.sslTerm": "true"}, p)
	awaitCertificate(t)
	await(t, edgetest.Target{Service: "www", Request: edgetest.Request{
		Addr: netip.MustParseAddrPort("127.0.0.1:443"), TLS: &tls.Config{ServerName: "www.example.com", InsecureSkipVerify: true},
		Host: "www.example.com", Path: "/",
	}})
	worker := workerPid(t)
	issue(t, 2)
	deploy(t)
	awaitCertificate(t)
	want(t, "a renewed certificate reloads nothing: worker", workerPid(t), worker)
	want(t, "rights of the copy for HAProxy", output("sh", "-c", "stat -c '%U %a' /var/lib/podgate/haproxy/certificates/*.pem | sort -u"), "podgate 600")
}

// execInTheSandbox follows the cluster with a kubeconfig that has a credential plugin,
// for which the unit needs no change, and then with the token file again.
func execInTheSandbox(t *testing.T, c *cluster) {
	t.Helper()
	const plugin, login = "/usr/local/bin/cluster-login", "/etc/podgate/login"
	before := readFile(t, configFile)
	writeFile(t, login, "third", 0o644)
	writeFile(t, plugin, `#!/bin/sh -e
# It keeps something in its home, as such programs do, and runs others.
mkdir -p "$HOME/.cache"
date +"%s $(id -un)" >>"$HOME/.cache/cluster-login"
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}' "$(cat `+login+`)"
`, 0o755)
	writeFile(t, "/etc/podgate/kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: edge
contexts: [{name: edge, context: {cluster: edge, user: edge}}]
clusters: [{name: edge, cluster: {server: %q, certificate-authority: ca.crt}}]
users:
- name: edge
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: %s, interactiveMode: Never}
`, c.api.URL(), filepath.Base(plugin)), 0o644)
	section := regexp.MustCompile(`(?m)^\[kubernetes\]\n(?:\w+ = .*\n)+`)
	if !section.MatchString(before) {
		t.Fatalf("podgate.toml has no [kubernetes]\n%s", before)
	}
	c.configure(t, section.ReplaceAllLiteralString(before, "[kubernetes]\nkubeconfig = \"/etc/podgate/kubeconfig\"\n"))
	c.newService(t)
	c.awaitToken(t, "third")
	runs := readFile(t, "/var/lib/podgate/.cache/cluster-login")
	if !regexp.MustCompile(`^(\d+ podgate\n)+$`).MatchString(runs) {
		t.Errorf("the credential plugin ran as %q, want podgate", runs)
	}
	c.configure(t, before)
	c.rotateToken(t, "fourth")
	c.awaitToken(t, "fourth")
	c.newService(t)
}

// configure replaces podgate.toml, and waits until it is in force. From now on the API
// server accepts any token: podgate may still send the old one.
func (c *cluster) configure(t *testing.T, config string) {
	t.Helper()
	inForce := func() int {
		return strings.Count(output("journalctl", "--unit=podgate", "--output=cat"), `msg="podgate.toml is in force"`)
	}
	before := inForce()
	c.api.Misbehave(kubeapitest.RequireToken(""))
	writeFile(t, configFile, config, 0o644)
	run(t, "systemctl", "reload", "podgate")
	eventually(t, "podgate.toml is in force", func() bool { return inForce() != before })
}

// pageInTheSandbox requests the pages and runs the commands of an operator.
func pageInTheSandbox(t *testing.T) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second}
	for path, text := range map[string]string{
		"/":        "default/cart",
		"/metrics": "\npodgate_in_sync 1\n",
		"/readyz":  "200 ok",
	} {
		got, err := edgetest.Fetch(t.Context(), client, "", "http://127.0.0.1:9180"+path)
		if err != nil || !strings.Contains(got, text) {
			t.Errorf("%s has no %q: %v\n%s", path, text, err, got)
		}
	}
	run(t, "podgate", "status")
	run(t, "podgate", "explain", "default/cart")
	run(t, "runuser", "-u", "podgate", "--", "podgate", "preflight")
}

// brokenReload checks that systemctl reload fails for a broken podgate.toml and that the
// journal names its line, while the last configuration stays in force.
func brokenReload(t *testing.T, c *cluster) {
	t.Helper()
	before := readFile(t, configFile)
	mode, owner := output("stat", "-c", "%a", configFile), output("stat", "-c", "%U", configFile)
	broken := before + "[nonsense]\nx = 1\n"
	writeFile(t, configFile, broken, 0o644)
	if out, err := combined("systemctl", "reload", "podgate"); err == nil {
		t.Errorf("systemctl reload succeeds with a broken podgate.toml: %s", out)
	}
	line := fmt.Sprintf("%s:%d: nonsense: unknown section", configFile, strings.Count(before, "\n")+1)
	if got := journal(); !strings.Contains(got, "\n"+line) {
		t.Errorf("the journal has no %q:\n%s", line, got)
	}
	want(t, "podgate.service", output("systemctl", "is-active", "podgate"), "active")
	c.newService(t)
	writeFile(t, configFile, before, 0o644)
	run(t, "chmod", mode, configFile)
	run(t, "chown", owner+":", configFile)
	run(t, "systemctl", "reload", "podgate")
}
