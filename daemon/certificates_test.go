// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"podgate/daemon/config"
	"podgate/daemon/dryrun"
	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
)

// TestChangedCertificateFilesAreServed writes certificate files in the ways of several
// programs. Only the first certificate needs a reload.
func TestChangedCertificateFilesAreServed(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "shop.pem", "first.test", "shop.test")
	e.serveShop(t)
	e.awaitCertificate(t, "shop.test", "first.test")
	pid := e.HAProxy.Pid()
	live := filepath.Join(e.folder, "live.test")
	archive := t.TempDir()
	write := func(path string, text []byte) {
		t.Helper()
		must(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600)))
	}
	link := func(target, path string) {
		t.Helper()
		must(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.Symlink(target, path+".new"), os.Rename(path+".new", path)))
	}
	presented := func(host, want string) {
		t.Helper()
		began := time.Now()
		e.awaitCertificate(t, host, want)
		t.Logf("%s within %s of the change", want, time.Since(began).Round(time.Millisecond))
	}

	e.certify(t, "shop.pem", "second.test", "shop.test") // Puppet: a file renamed over the old one
	presented("shop.test", "second.test")
	write(filepath.Join(e.folder, "shop.pem"), haproxytest.Certificate(t, "third.test", "shop.test")) // in place
	presented("shop.test", "third.test")
	crt, key := split(haproxytest.Certificate(t, "acme.test")) // acme.sh: one after the other, in place
	write(filepath.Join(e.folder, "acme.crt"), crt)
	write(filepath.Join(e.folder, "acme.key"), key)
	presented("acme.test", "acme.test")
	crt, key = split(haproxytest.Certificate(t, "acme2.test", "acme.test", "*.acme.test"))
	write(filepath.Join(e.folder, "acme.crt"), crt)
	write(filepath.Join(e.folder, "acme.key"), key)
	presented("www.acme.test", "acme2.test")
	for n := range 2 { // certbot: links from live to archive, swapped one by one
		name := fmt.Sprintf("live%d.test", n)
		crt, key = split(haproxytest.Certificate(t, name, "live.test"))
		for file, text := range map[string][]byte{"fullchain": crt, "privkey": key} {
			target := filepath.Join(archive, fmt.Sprintf("%s%d.pem", file, n))
			write(target, text)
			link(target, filepath.Join(live, file+".pem"))
		}
		presented("live.test", name)
	}
	for n := range 2 { // Kubernetes: a link to a folder is swapped
		crt, key = split(haproxytest.Certificate(t, fmt.Sprintf("mount%d.test", n), "mount.test"))
		mount := filepath.Join(e.folder, "mount")
		write(filepath.Join(mount, fmt.Sprintf("..%d", n), "tls.crt"), crt)
		write(filepath.Join(mount, fmt.Sprintf("..%d", n), "tls.key"), key)
		link(fmt.Sprintf("..%d", n), filepath.Join(mount, "..data"))
		if n == 0 {
			link("..data/tls.key", filepath.Join(mount, "tls.key"))
			link("..data/tls.crt", filepath.Join(mount, "tls.crt"))
		}
		presented("mount.test", fmt.Sprintf("mount%d.test", n))
	}
	must(t, os.Remove(filepath.Join(e.folder, "acme.crt")))
	presented("acme.test", unknownName)
	if e.HAProxy.Pid() != pid || len(e.Reloads()) != 1 {
		t.Errorf("HAProxy was reloaded: %q", e.Reloads())
	}

	// A restarted HAProxy has the same certificates.
	must(t, e.HAProxy.Restart(t.Context()))
	for host, want := range map[string]string{"shop.test": "third.test", "live.test": "live1.test", "mount.test": "mount1.test", "acme.test": unknownName} {
		if got := e.presents(host); got != want {
			t.Errorf("after a restart %s presents %q, want %q", host, got, want)
		}
	}
	e.checkKeysAreSecret(t)
}

// split splits a PEM file into the certificate and the key.
func split(text []byte) (crt, key []byte) {
	at := bytes.Index(text, []byte("-----BEGIN PRIVATE KEY-----"))
	return text[:at:at], text[at:]
}

// keyTexts returns the texts that must not appear outside of key files: the lines of the
// key's PEM, and base64 of the PEM, as in the API server's JSON.
func keyTexts(key []byte) []string {
	var texts []string
	for line := range strings.Lines(string(key)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "---") {
			texts = append(texts, line)
		}
	}
	encoded := base64.StdEncoding.EncodeToString(key)
	return append(texts, encoded[:len(encoded)/2])
}

// checkKeysAreSecret checks that no other user can read a file with a key, and that no key
// appears elsewhere: in the logs of podgate and HAProxy, podgate's other files, the
// history, the status page, the metrics, and the output of commands. more are keys that
// the folder does not have.
func (e *tlsEdge) checkKeysAreSecret(t *testing.T, more ...[]byte) {
	t.Helper()
	var secrets []string
	for _, key := range more {
		secrets = append(secrets, keyTexts(key)...)
	}
	found := 0
	others := map[string]string{}
	err := filepath.WalkDir(e.HAProxy.Folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch {
		case filepath.Base(path) == "tickets.keys":
			secrets = append(secrets, strings.Fields(string(text))...)
		case bytes.Contains(text, []byte("PRIVATE KEY-----")):
			_, key := split(text)
			secrets = append(secrets, keyTexts(key)...)
		default:
			others[path] = string(text)
			return nil
		}
		found++
		info, err := entry.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil || found < 2 {
		t.Errorf("%d files with keys: %v", found, err)
	}
	if len(others) < 5 {
		t.Errorf("%d other files", len(others))
	}
	others["podgate's log"], others["HAProxy's log"] = e.Log.String(), e.HAProxy.Log()
	for where, text := range e.outputs(t) {
		others[where] = text
	}
	for where, text := range others {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds a key", where)
			}
		}
		if strings.Contains(text, "PRIVATE KEY-----") {
			t.Errorf("%s holds a key", where)
		}
	}
}

// outputs returns everything that podgate shows to operators.
func (e *tlsEdge) outputs(t *testing.T) map[string]string {
	t.Helper()
	history, err := os.ReadFile(e.History)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	all := map[string]string{"history.json": string(history)}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", e.Socket)
	}}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	for _, path := range []string{
		"/", "/history", "/metrics", "/api/v1/status", "/api/v1/history", "/api/v1/services", "/explain?of=https://shop.test/", "/api/v1/explain?of=shop/shop",
		"/api/v1/explain?of=https://cart.shop.test/", "/api/v1/explain?of=shop/cart",
	} {
		text, err := edgetest.Fetch(t.Context(), client, "", "http://podgate"+path)
		if err != nil || len(text) < len("200 x") {
			t.Errorf("%s: %q, %v", path, text, err)
		}
		all[path] = text
	}
	c, err := config.Load(e.TOML)
	must(t, err)
	var rendered, problems bytes.Buffer
	if err := dryrun.Render(t.Context(), c, "test", nil, &rendered, &problems); err != nil {
		t.Error(err)
	}
	all["podgate render"], all["the problems of podgate render"] = rendered.String(), problems.String()
	return all
}

func TestAnInvalidCertificateIsRejectedAndTheOneInServiceStays(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "shop.pem", "shop.test")
	e.certify(t, "other.pem", "other.test")
	e.serveShop(t)
	pid := e.HAProxy.Pid()
	file := filepath.Join(e.folder, "shop.pem")
	crt, _ := split(haproxytest.Certificate(t, "shop.test"))
	_, key := split(haproxytest.Certificate(t, "other.test"))
	good, err := os.ReadFile(file)
	must(t, err)
	for _, row := range []struct {
		name, reason string
		text         []byte
	}{
		{"no PEM", "holds no certificate in PEM", []byte("nonsense\n")},
		{"no key", "holds no private key in PEM", crt},
		{"another's key", "private key does not match public key", append(bytes.Clone(crt), key...)},
		{"it has expired", "expired on 20", haproxytest.CertificateUntil(t, time.Now().Add(-time.Hour), "shop.test")},
		{"it is not valid yet", "is not valid before 20", haproxytest.CertificateUntil(t, time.Now().Add(72*time.Hour), "shop.test")},
		{"too long", "more than the 102400 that TLS clients accept", append(bytes.Clone(good), bytes.Repeat(crt, 200)...)},
		{"too many names", "more than the 9216 that HAProxy shows", haproxytest.Certificate(t, manyNames("shop.test", 300)...)},
		{"a truncated key", "holds no private key in PEM", append(bytes.Clone(crt), key[:len(key)/2]...)},
		{"an invalid key", "failed to parse private key", append(bytes.Clone(crt), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("not a valid key, and secret as well")})...)},
	} {
		e.put(t, "shop.pem", row.text)
		want := fmt.Sprintf("msg=\"certificate problem\" file=%s reason=\"", file)
		eventually(t, row.name, func() error {
			for line := range strings.Lines(e.Log.String()) {
				if strings.Contains(line, want) && strings.Contains(line, row.reason) && strings.Contains(line, "; the one in service stays") {
					return nil
				}
			}
			return fmt.Errorf("not in the log")
		})
		if got := e.presents("shop.test"); got != "shop.test" {
			t.Errorf("%s: shop.test presents %q", row.name, got)
		}
	}
	// A restarted podgate has only the copy in HAProxy's folder.
	e.stop(t)
	must(t, e.HAProxy.Restart(t.Context()))
	e.start(t)
	e.certify(t, "new.pem", "new.test")
	e.awaitCertificate(t, "new.test", "new.test")
	if got := e.presents("shop.test"); got != "shop.test" {
		t.Errorf("after restarts shop.test presents %q", got)
	}
	e.certify(t, "shop.pem", "again.test", "shop.test")
	e.awaitCertificate(t, "shop.test", "again.test")
	if len(e.Reloads()) != 1 {
		t.Errorf("reloads: %q, the first process was %d", e.Reloads(), pid)
	}
	e.checkKeysAreSecret(t, key, key[:len(key)/2], []byte("not a valid key, and secret as well"))
}

// manyNames returns a name and n longer ones.
func manyNames(name string, n int) []string {
	names := []string{name}
	for i := range n {
		names = append(names, fmt.Sprintf("%d.one-of-many-host-names.%s", i, name))
	}
	return names
}

// TestARenewalFailsNoHandshake renews a certificate several times under load.
func TestARenewalFailsNoHandshake(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "shop.pem", "shop-0.test", "shop.test")
	e.serveShop(t)
	pid := e.HAProxy.Pid()
	var done, failed atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := tls.Dial("tcp", e.https.String(), &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true})
				done.Add(1)
				if err != nil {
					failed.Add(1)
					t.Errorf("handshake: %v", err)
					return
				}
				conn.Close()
			}
		})
	}
	began := time.Now()
	var slowest time.Duration
	for n := range 5 {
		name := fmt.Sprintf("shop-%d.test", n+1)
		e.certify(t, "shop.pem", name, "shop.test")
		since := time.Now()
		e.awaitCertificate(t, "shop.test", name)
		slowest = max(slowest, time.Since(since))
	}
	rate := float64(done.Load()) / time.Since(began).Seconds()
	close(stop)
	clients.Wait()
	t.Logf("handshakes %d (%.0f/s), failed %d, renewals 5, the slowest in service after %s, reloads 0", done.Load(), rate, failed.Load(), slowest.Round(time.Millisecond))
	e.checkPid(t, pid)
}

func TestChangedCertificatesAreDrift(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.resync = 200 * time.Millisecond
	e.certify(t, "shop.pem", "shop.test")
	e.certify(t, "gone.pem", "gone.test")
	e.serveShop(t)
	e.awaitCertificate(t, "gone.test", "gone.test")
	e.awaitReloads(t) // podgate has observed the loaded certificates
	list := filepath.Join(e.HAProxy.Folder, "certificates.crtlist")
	text, err := os.ReadFile(list)
	must(t, err)
	paths := map[string]string{} // by server name
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		paths[words[1]] = words[0]
	}
	e.command(t, "set ssl cert "+paths["shop.test"]+" <<\n"+string(haproxytest.Certificate(t, "intruder.test"))+"\n")
	e.command(t, "commit ssl cert "+paths["shop.test"])
	e.command(t, "del ssl crt-list "+list+" "+paths["gone.test"])
	e.awaitCertificate(t, "shop.test", "shop.test")
	e.awaitCertificate(t, "gone.test", "gone.test")
	awaitThat(t, "both differences are counted as drift", func() bool { return e.Drift() >= 2 })
	e.checkOneReload(t)
}

// TestDriftThatAChangeShowsIsCounted deletes a certificate of HAProxy. podgate sees that
// when it reads back another certificate, long before the next resync.
func TestDriftThatAChangeShowsIsCounted(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "shop.pem", "shop.test")
	e.certify(t, "gone.pem", "gone.test")
	e.serveShop(t)
	e.awaitCertificate(t, "gone.test", "gone.test")
	e.awaitReloads(t) // podgate has observed the loaded certificates
	e.awaitNoDifference(t)
	list := filepath.Join(e.HAProxy.Folder, "certificates.crtlist")
	text, err := os.ReadFile(list)
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); words[1] == "gone.test" {
			e.command(t, "del ssl crt-list "+list+" "+words[0])
		}
	}
	e.certify(t, "late.pem", "late.test")
	e.awaitCertificate(t, "late.test", "late.test")
	e.awaitCertificate(t, "gone.test", "gone.test")
	if got := e.Drift(); got != 1 {
		t.Errorf("%d differences are counted, want 1", got)
	}
	e.checkOneReload(t)
}

// TestARestartOfPodgateChangesNoCertificate restarts podgate: HAProxy has everything.
func TestARestartOfPodgateChangesNoCertificate(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	sent := e.tapSockets(t)
	e.certify(t, "default.pem", "default.test")
	e.certify(t, "shop.pem", "shop.test", "*.shop.test")
	e.setHTTPS(t, fmt.Sprintf("default_certificate = %q", filepath.Join(e.folder, "default.pem")))
	e.serveShop(t)
	if got := e.presents("unknown.test"); got != "default.test" {
		t.Errorf("an unknown name presents %q", got)
	}
	e.awaitReloads(t)
	e.awaitNoDifference(t)
	e.stop(t)
	sent.reset()
	e.start(t)
	awaitThat(t, "podgate observes HAProxy", func() bool { return sent.size() >= 200 })
	e.certify(t, "last.pem", "last.test") // a change, after which nothing older is pending
	e.awaitCertificate(t, "last.test", "last.test")
	e.stop(t)
	for _, c := range sent.changes() {
		if strings.HasPrefix(c, "set ") && !strings.Contains(c, "last-") || strings.HasPrefix(c, "del ") || strings.HasPrefix(c, "reload") {
			t.Errorf("podgate sent %q", c)
		}
	}
	e.checkOneReload(t)
}
