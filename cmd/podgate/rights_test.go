// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"podgate/kubeapi/kubeapitest"
)

// trespassEnv makes the test binary somebody who tries what the paths behind it
// allow, and says what they do.
const trespassEnv = "PODGATE_TEST_TRESPASS"

// trespass tries to read, write, replace and connect to each path.
func trespass(paths []string) {
	for _, path := range paths {
		if _, err := os.ReadFile(path); err == nil {
			fmt.Println("reads", path)
		}
		if _, err := os.ReadDir(path); err == nil {
			fmt.Println("lists", path)
		}
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			f.Close()
			fmt.Println("writes", path)
		}
		if f, err := os.CreateTemp(path, "trespass"); err == nil {
			f.Close()
			os.Remove(f.Name())
			fmt.Println("makes files in", path)
		}
		if err := os.Rename(path, path+".stolen"); err == nil {
			os.Rename(path+".stolen", path)
			fmt.Println("renames", path)
		}
		if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
			conn.Close()
			fmt.Println("connects to", path)
		}
	}
}

// TestNobodyElseGetsAtWhatIsPodgates lets another user try the folder, every
// file that podgate writes there, the sockets and the token.
func TestNobodyElseGetsAtWhatIsPodgates(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	b, token := guarded(t)
	for _, mode := range []fs.FileMode{0o750, 0o755} { // as the package makes it, and carelessly
		if err := os.Chmod(b.HAProxy.Folder, mode); err != nil {
			t.Fatal(err)
		}
		paths := []string{b.HAProxy.Folder, b.HAProxy.Admin, b.HAProxy.Master, token}
		files, err := filepath.Glob(filepath.Join(b.HAProxy.Folder, "*"))
		if err != nil || len(files) < 5 {
			t.Fatalf("files: %q, %v", files, err)
		}
		said := tryAs(t, 65534, append(paths, files...))
		if mode == 0o755 {
			said = slices.DeleteFunc(said, func(line string) bool { return line == "lists "+b.HAProxy.Folder })
		}
		if len(said) > 0 {
			t.Errorf("with a folder of mode %o, another user\n%s", mode, strings.Join(said, "\n"))
		}
	}
	if said := tryAs(t, 0, []string{token}); len(said) == 0 {
		t.Error("whoever may read the token cannot: the trial tries nothing")
	}
}

// tryAs has a user try paths, and returns what is allowed.
func tryAs(t *testing.T, uid uint32, paths []string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The test's own folders are closed to others: that must not be the reason.
	dir, err := os.MkdirTemp("", "trespass")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	text, err := os.ReadFile(self)
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "trespass"), text, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		for up := filepath.Dir(path); up != "/" && up != os.TempDir(); up = filepath.Dir(up) {
			if info, err := os.Stat(up); err == nil && !slices.Contains(paths, up) && strings.HasPrefix(up, os.TempDir()+"/") {
				_ = os.Chmod(up, info.Mode()|0o711)
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "trespass"))
	cmd.Env = []string{trespassEnv + "=" + strings.Join(paths, ":")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

const secretToken = "hunter2-abcdefghijklmnop"

// guarded is a box whose API server wants a token, with a podgate that runs and
// has served.
func guarded(t *testing.T) (b *box, token string) {
	t.Helper()
	b = newBox(t)
	b.Cluster.Misbehave(kubeapitest.RequireToken(secretToken))
	token = write(t, "token", secretToken+"\n")
	// A token over http must be given by a kubeconfig, which podgate warns of.
	kubeconfig := write(t, "kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: x
contexts: [{name: x, context: {cluster: x, user: x}}]
clusters: [{name: x, cluster: {server: %q}}]
users: [{name: x, user: {tokenFile: %q}}]
`, b.Cluster.URL(), token))
	b.Set("kubernetes.server", nil)
	b.Set("kubernetes.kubeconfig", kubeconfig)
	b.Set("defaults.cookie_key", "hunter2-cookie")
	b.Set("log.level", "debug")
	if err := b.Configure(""); err != nil {
		t.Fatal(err)
	}
	b.newPod(t, 1)
	b.start(t)
	b.awaitPod(t, 1)
	return b, token
}

// TestNoSecretIsTold looks for the token, the key of the cookies and what the
// workers of HAProxy show each other in everything that podgate says.
func TestNoSecretIsTold(t *testing.T) {
	b, token := guarded(t)
	if err := os.WriteFile(token, []byte("hunter2-wrong\n"), 0o600); err != nil { // and so 401
		t.Fatal(err)
	}
	relay, err := os.ReadFile(filepath.Join(b.HAProxy.Folder, "podgate.secret"))
	if err != nil {
		t.Fatal(err)
	}
	b.Cluster.EndWatches()
	var said strings.Builder
	for _, args := range [][]string{{"check"}, {"diff"}, {"diff", "-o", "json"}, {"confirm"}} {
		stdout, stderr, _ := podgate(t, append(args, "--config", b.TOML)...)
		said.WriteString(stdout + stderr)
	}
	if !strings.Contains(said.String(), "401") {
		t.Errorf("the wrong token was not refused: %s", said.String())
	}
	if err := os.WriteFile(token, []byte(secretToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// All of the file differs, and nobody writes it again meanwhile.
	if err := syscall.Kill(b.podgate.Process.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(b.HAProxy.Folder, "podgate.cfg")); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, _ := podgate(t, "diff", "--config", b.TOML)
	if !strings.Contains(stdout, "backend shop_cart_80") {
		t.Errorf("diff says %q, %q", stdout, stderr)
	}
	said.WriteString(stdout + stderr)
	log, err := os.ReadFile(b.podgate.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	said.Write(log)
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", b.podgate.Process.Pid))
	said.Write(cmdline)
	for _, secret := range []string{"hunter2", strings.TrimSpace(string(relay))} {
		for line := range strings.Lines(said.String()) {
			if strings.Contains(line, secret) {
				t.Errorf("a secret is told: %s", line)
			}
		}
	}
}

// TestPodgateListensOnLoopbackAlone looks at what podgate itself, not HAProxy,
// listens on where podgate.toml says nothing of it.
func TestPodgateListensOnLoopbackAlone(t *testing.T) {
	b, _ := guarded(t)
	sockets := map[string]bool{}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", b.podgate.Process.Pid))
	if err != nil || len(links) == 0 {
		t.Fatalf("descriptors: %v, %v", links, err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil {
			sockets[to] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		file, err := os.Open("/proc/net/" + table)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			const local, state, inode = 1, 3, 9
			const listens = "0A"
			words := strings.Fields(lines.Text())
			if len(words) <= inode || words[state] != listens || !sockets["socket:["+words[inode]+"]"] {
				continue
			}
			if !strings.HasPrefix(words[local], "0100007F:") && !strings.HasPrefix(words[local], "00000000000000000000000001000000:") {
				t.Errorf("podgate listens on %s", words[local])
			}
		}
	}
}
