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

// trespassEnv makes the test binary call trespass with the paths in the variable.
const trespassEnv = "PODGATE_TEST_TRESPASS"

// trespass tries to read, write, replace and connect to each path, and prints what was
// possible.
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

// TestOtherUsersHaveNoAccess runs trespass as another user, on the folder, every file
// that podgate writes there, the sockets and the token.
func TestOtherUsersHaveNoAccess(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	b, token := boxWithToken(t)
	for _, mode := range []fs.FileMode{0o750, 0o755} { // the mode of the package, and one that is too wide
		if err := os.Chmod(b.HAProxy.Folder, mode); err != nil {
			t.Fatal(err)
		}
		paths := []string{b.HAProxy.Folder, b.HAProxy.Admin, b.HAProxy.Master, token}
		files, err := filepath.Glob(filepath.Join(b.HAProxy.Folder, "*"))
		if err != nil || len(files) < 5 {
			t.Fatalf("files: %q, %v", files, err)
		}
		allowed := tryAs(t, 65534, append(paths, files...))
		if mode == 0o755 {
			allowed = slices.DeleteFunc(allowed, func(line string) bool { return line == "lists "+b.HAProxy.Folder })
		}
		if len(allowed) > 0 {
			t.Errorf("with a folder of mode %o, another user\n%s", mode, strings.Join(allowed, "\n"))
		}
	}
	if allowed := tryAs(t, 0, []string{token}); len(allowed) == 0 {
		t.Error("root cannot read the token: trespass does nothing")
	}
}

// tryAs runs trespass on paths as a user, and returns the lines that it prints.
func tryAs(t *testing.T, uid uint32, paths []string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The folders above the paths are opened to other users, so that they are not the reason.
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

// boxWithToken returns a box whose API server requires a token, and whose podgate runs
// and serves.
func boxWithToken(t *testing.T) (b *box, token string) {
	t.Helper()
	b = newBox(t)
	b.Cluster.Misbehave(kubeapitest.RequireToken(secretToken))
	token = write(t, "token", secretToken+"\n")
	// podgate sends a token over http only with a kubeconfig, and warns about it.
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

// TestOutputHasNoSecrets looks for the token, the cookie key and the relay secret of the
// HAProxy workers in the output and log of podgate.
func TestOutputHasNoSecrets(t *testing.T) {
	b, token := boxWithToken(t)
	if err := os.WriteFile(token, []byte("hunter2-wrong\n"), 0o600); err != nil { // causes a 401
		t.Fatal(err)
	}
	relay, err := os.ReadFile(filepath.Join(b.HAProxy.Folder, "podgate.secret"))
	if err != nil {
		t.Fatal(err)
	}
	b.Cluster.EndWatches()
	var output strings.Builder
	for _, args := range [][]string{{"check"}, {"diff"}, {"diff", "-o", "json"}, {"confirm"}} {
		stdout, stderr, _ := podgate(t, append(args, "--config", b.TOML)...)
		output.WriteString(stdout + stderr)
	}
	if !strings.Contains(output.String(), "401") {
		t.Errorf("the wrong token was not rejected: %s", output.String())
	}
	if err := os.WriteFile(token, []byte(secretToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// podgate is stopped, so that it does not write the file again and diff prints all of it.
	if err := syscall.Kill(b.podgate.Process.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(b.HAProxy.Folder, "podgate.cfg")); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, _ := podgate(t, "diff", "--config", b.TOML)
	if !strings.Contains(stdout, "backend shop_cart_80") {
		t.Errorf("diff printed %q, %q", stdout, stderr)
	}
	output.WriteString(stdout + stderr)
	log, err := os.ReadFile(b.podgate.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	output.Write(log)
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", b.podgate.Process.Pid))
	output.Write(cmdline)
	for _, secret := range []string{"hunter2", strings.TrimSpace(string(relay))} {
		for line := range strings.Lines(output.String()) {
			if strings.Contains(line, secret) {
				t.Errorf("a secret is printed: %s", line)
			}
		}
	}
}

// TestPodgateListensOnLoopbackAlone checks the addresses on which podgate itself, not
// HAProxy, listens by default.
func TestPodgateListensOnLoopbackAlone(t *testing.T) {
	b, _ := boxWithToken(t)
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
