//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"podgate/haproxy/haproxytest"
	"podgate/kubeapi/kubeapitest/realapi"
)

// podgateID is the user and the group that podgate runs as, which HAProxy opens
// its sockets to.
const podgateID = 64123

// The ports of an edge's health.
const (
	healthPort      = 10880
	healthProxyPort = 10881
	peersPort       = 10024
)

// gatewayMore is what podgate.toml of an edge has beside podgateConfig; what it
// says of clients and of what the servers are follows.
const gatewayMore = `
[peers]
nodes = [%q, %q]

[cloud]
health_bind = [":10880"]
health_proxy_bind = [":10881"]
drain_wait = "2s"
drain_timeout = "20s"
trusted_sources = ["` + balancerAddr + `"]
`

// What an edge is told of its clients, and of what the servers are.
const (
	byProxy     = "proxy = [\"http\", \"tcp\"]\n"
	byForwarded = "forwarded_hops = 1\n"
	byNodePort  = "[upstream]\nmode = \"nodeport\"\n"
)

// gateway is an edge on a machine of its own.
type gateway struct {
	edge
	machine *machine
	addr    string
	binary  string // of HAProxy
	apart   bool   // podgate is another user than HAProxy
}

// startGateway starts HAProxy and podgate on a machine, as two users where this
// system lets them be.
func (s *edgesStory) startGateway(t *testing.T, podgate string, index int) *gateway {
	t.Helper()
	haproxy, err := haproxytest.Binary()
	if err != nil {
		t.Fatalf("%v (install haproxy)", err)
	}
	g := &gateway{machine: s.network.edges[index], addr: edgeAddr(index), binary: haproxy}
	g.folder, g.log = t.TempDir(), newHAProxyLog(t, apiAddr+":0")
	if err := os.Chmod(filepath.Dir(g.folder), 0o711); err != nil { // the test's own is nobody else's
		t.Fatal(err)
	}
	g.be(t, podgate)
	if err := os.Mkdir(g.file("conf"), 0o750); err != nil {
		t.Fatal(err)
	}
	g.write(t, "base.cfg", fmt.Sprintf(baseConfig, g.file("admin.sock"), g.id(), g.log.addr()))
	g.write(t, "token", s.cluster.Token(t, "podgate", "podgate"))
	ca, err := os.ReadFile(s.cluster.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	g.write(t, "ca.crt", string(ca))
	g.write(t, "podgate.toml", g.config()+byProxy)
	for _, name := range []string{"base.cfg", "token", "ca.crt", "podgate.toml", "conf"} {
		g.give(t, name)
	}
	g.startHAProxy(t)
	go g.watchPids(t.Context())
	g.startPodgate(t)
	return g
}

// be finds out how podgate is run.
func (g *gateway) be(t *testing.T, podgate string) {
	t.Helper()
	id := strconv.Itoa(podgateID)
	another := []string{"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", "--no-new-privs", "--pdeathsig=KILL", "--"}
	if out, err := exec.Command(another[0], append(slices.Clone(another[1:]), "test", "-x", g.binary)...).CombinedOutput(); err != nil {
		t.Logf("    podgate runs as the user that HAProxy runs as, no other may run %s: %v %s", g.binary, err, strings.TrimSpace(string(out)))
		g.program = g.machine.within(podgate)
		return
	}
	g.apart = true
	theirs := g.file("podgate") // the tree may be where that user cannot go
	if err := copyFile(theirs, podgate); err != nil {
		t.Fatal(err)
	}
	g.program = g.machine.within(append(another, theirs)...)
}

// id is the group that HAProxy opens its sockets to.
func (g *gateway) id() int {
	if g.apart {
		return podgateID
	}
	return os.Getgid()
}

// give makes a file podgate's.
func (g *gateway) give(t *testing.T, name string) {
	t.Helper()
	if !g.apart {
		return
	}
	if err := os.Chown(g.file(name), podgateID, podgateID); err != nil {
		t.Fatal(err)
	}
}

func (g *gateway) config() string {
	return g.toml("https://"+apiAddr+":6443", g.file("ca.crt"), g.binary, ":80", townNamespace) +
		fmt.Sprintf(gatewayMore,
			fmt.Sprintf("edge1=%s:%d", edgeAddr(0), peersPort), fmt.Sprintf("edge2=%s:%d", edgeAddr(1), peersPort))
}

// configure gives podgate another podgate.toml, which it notices by itself.
func (g *gateway) configure(t *testing.T, more string) {
	t.Helper()
	g.write(t, "podgate.toml.new", g.config()+more)
	g.give(t, "podgate.toml.new")
	if err := os.Rename(g.file("podgate.toml.new"), g.file("podgate.toml")); err != nil {
		t.Fatal(err)
	}
}

func (g *gateway) startHAProxy(t *testing.T) {
	t.Helper()
	args := g.machine.within(g.binary, "-W", "-S", fmt.Sprintf("%s,mode,660,gid,%d", g.file("master.sock"), g.id()),
		"-f", g.file("base.cfg"), "-f", g.file("conf"))
	g.haproxy = realapi.StartProcess(t, g.folder, "haproxy", args[0], args[1:]...)
	g.awaitHAProxy(t)
}

// stopHAProxy ends HAProxy as systemd does.
func (g *gateway) stopHAProxy(t *testing.T) {
	t.Helper()
	if err := g.haproxy.Stop(syscall.SIGTERM, 15*time.Second); err != nil {
		t.Fatal(err)
	}
}

// call runs a command of podgate and returns what it printed and its exit code.
func (g *gateway) call(args ...string) (string, int) {
	args = append(slices.Clone(g.program), args...)
	cmd := exec.Command(args[0], args[1:]...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return err.Error(), -1
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// mustCall is call of a command that has to go well.
func (g *gateway) mustCall(t *testing.T, args ...string) string {
	t.Helper()
	out, code := g.call(append(args, "--config", g.file("podgate.toml"))...)
	if code != 0 {
		t.Fatalf("podgate %s on %s: exit code %d: %s", strings.Join(args, " "), g.machine.name, code, out)
	}
	return strings.TrimSpace(out)
}

func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// at is an address of an edge.
func (g *gateway) at(port int) string { return net.JoinHostPort(g.addr, strconv.Itoa(port)) }
