// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// mainEnv makes the test binary podgate itself, so that a test has a process
// to kill.
const mainEnv = "PODGATE_TEST_MAIN"

func TestMain(m *testing.M) {
	if paths := os.Getenv(trespassEnv); paths != "" {
		trespass(strings.Split(paths, ":"))
		return
	}
	if os.Getenv(mainEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// startPodgate runs podgate as a process of its own.
func startPodgate(t *testing.T, config string, log io.Writer) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "run", "--config", config)
	cmd.Env = append(os.Environ(), mainEnv+"=1")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// box is an edge box without podgate: an API server with one Service, a HAProxy
// and what podgate.toml says of them.
type box struct {
	api     *kubeapitest.Server
	haproxy *haproxytest.HAProxy
	config  string
	url     string // of the Service
	log     string // file of what podgate says; "" where the test has it
	pid     int    // podgate's, where it runs
}

func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{api: kubeapitest.Run(t), haproxy: haproxytest.Run(t, haproxytest.Options{})}
	addr, err := b.haproxy.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	relay, err := b.haproxy.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	b.url = fmt.Sprintf("http://%s/cart/", addr)
	b.config = write(t, "podgate.toml", fmt.Sprintf(`
[kubernetes]
server = %q
%serror_files = ""
reload_interval = "0s"
[http]
bind = [%q]
relay = %q
[admin]
listen = []
socket = %q
history = %q
`, b.api.URL(), b.haproxy.Section(), addr, relay, filepath.Join(filepath.Dir(b.haproxy.Base), "podgate.sock"), filepath.Join(t.TempDir(), "history.json")))
	b.service(t, "cart")
	return b
}

func (b *box) service(t *testing.T, name string) {
	t.Helper()
	err := b.api.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "default", Name: name}, Type: "ClusterIP",
		Ports: []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// endpoints makes the pod at addr the only one of Service cart.
func (b *box) endpoints(t *testing.T, addr netip.AddrPort) {
	t.Helper()
	err := b.api.SetSlice(kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "default", Name: "cart-x"}, Service: "cart", AddressType: "IPv4",
		Ports:     []kubeapi.EndpointPort{{Name: "web", Protocol: "TCP", Port: addr.Port()}},
		Endpoints: []kubeapi.Endpoint{{Addr: addr.Addr(), Ready: true, Serving: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newPod is a pod that answers with its number.
func newPod(t *testing.T, number int) netip.AddrPort {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, number) }))
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

// ask returns what the Service answers.
func ask(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}

// awaitAnswer waits until the Service answers so.
func (b *box) awaitAnswer(t *testing.T, want string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	deadline := time.Now().Add(20 * time.Second)
	for {
		got, err := ask(client, b.url)
		if err == nil && got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: got %q, %v, want %q", b.url, got, err, want)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// awaitNoDifference waits until "podgate diff" finds that HAProxy and its files
// are as the cluster wants, but for servers that have idle connections yet.
func (b *box) awaitNoDifference(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		stdout, stderr, code := podgate(t, "diff", "--config", b.config)
		var differences []string
		for line := range strings.Lines(stdout) {
			if !strings.HasPrefix(line, "process runtime: delete ") {
				differences = append(differences, line)
			}
		}
		if code != exitTrouble && len(differences) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("podgate diff: code %d\n%s%s", code, stdout, stderr)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestPodgateIsKilledAtAnyMoment kills it with no warning while endpoints
// change and Services come, so in the middle of runtime commands, files and
// reloads. Whoever comes next goes on from there.
func TestPodgateIsKilledAtAnyMoment(t *testing.T) {
	b := newBox(t)
	var log bytes.Buffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("podgate's log:\n%s", log.String())
		}
	})
	b.endpoints(t, newPod(t, 0))
	if err := os.WriteFile(filepath.Join(b.haproxy.Folder, ".podgate.cfg.123"), []byte("glo"), 0o600); err != nil {
		t.Fatal(err)
	}
	running := startPodgate(t, b.config, &log)
	t.Cleanup(func() {
		running.Process.Kill() // if a failure left it running
		running.Wait()
	})
	b.awaitAnswer(t, "0")

	var sent, failed int
	done := make(chan struct{})
	var loading sync.WaitGroup
	stop := sync.OnceFunc(func() {
		close(done)
		loading.Wait()
	})
	t.Cleanup(stop)
	loading.Go(func() {
		short := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
		kept := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
		defer kept.CloseIdleConnections()
		for {
			select {
			case <-done:
				return
			default:
			}
			for _, client := range []*http.Client{short, kept} {
				sent++
				if _, err := ask(client, b.url); err != nil {
					failed++
					t.Errorf("%s %v", time.Now().Format("15:04:05.000"), err)
				}
			}
		}
	})
	for n := 1; n <= 20; n++ {
		b.endpoints(t, newPod(t, n))
		if n%2 == 0 {
			b.service(t, fmt.Sprintf("new-%d", n))
		}
		if n%5 == 0 {
			b.api.Delete("Service", "default", fmt.Sprintf("new-%d", n-1))
		}
		time.Sleep(time.Duration(n) * 13 * time.Millisecond) // from before it has looked to after the reload
		running.Process.Kill()
		running.Wait()
		running = startPodgate(t, b.config, &log)
		b.awaitAnswer(t, fmt.Sprint(n))
	}
	b.endpoints(t, newPod(t, 21)) // for the last podgate, which may still be starting
	b.awaitAnswer(t, "21")
	b.awaitNoDifference(t)
	running.Process.Signal(syscall.SIGTERM)
	if err := running.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	b.awaitAnswer(t, "21")
	stop()
	t.Logf("requests sent %d, failed %d", sent, failed)
	halves, err := filepath.Glob(filepath.Join(b.haproxy.Folder, ".*"))
	if err != nil || len(halves) > 0 {
		t.Errorf("half written files are left: %q, %v", halves, err)
	}
}
