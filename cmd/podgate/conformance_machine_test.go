//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// machine is a host of the test's network: a network namespace and a host name
// of its own, which last as long as the process that sleeps in them.
type machine struct {
	name string
	pid  int
}

// hub is where the test itself is, and the API server.
func hub() *machine { return &machine{"hub", os.Getpid()} }

// newMachine makes a machine that ends with the test.
func newMachine(t *testing.T, name string) *machine {
	t.Helper()
	cmd := exec.Command("sh", "-ec", `hostname "$0"; ip link set lo up; echo up; exec sleep infinity`, name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("make machine %s: %v", name, err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // it was killed, and that is what it says
	})
	if said, err := bufio.NewReader(out).ReadString('\n'); err != nil || said != "up\n" {
		t.Fatalf("make machine %s: %q, %v (is iproute2 installed?)", name, said, err)
	}
	return &machine{name, cmd.Process.Pid}
}

// within is the command line that runs another in the machine.
func (m *machine) within(args ...string) []string {
	if m.pid == os.Getpid() {
		return args
	}
	space := fmt.Sprintf("/proc/%d/ns/", m.pid)
	return append([]string{"nsenter", "--net=" + space + "net", "--uts=" + space + "uts", "--"}, args...)
}

// try runs lines of a shell in the machine.
func (m *machine) try(lines ...string) error {
	args := m.within("sh", "-ec", strings.Join(lines, "\n"))
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("on %s: %s: %v: %s", m.name, strings.Join(lines, "; "), err, out)
	}
	return nil
}

func (m *machine) run(t *testing.T, lines ...string) {
	t.Helper()
	if err := m.try(lines...); err != nil {
		t.Fatal(err)
	}
}

// do calls f, whose sockets are the machine's as long as it makes them in the
// goroutine that it is called in. The thread goes back after it: the end of one
// would end the processes that it started.
func (m *machine) do(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	back, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer back.Close()
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", m.pid))
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("go to %s: %w", m.name, err)
	}
	defer func() {
		if err := unix.Setns(int(back.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(fmt.Sprintf("come back from %s: %v", m.name, err))
		}
	}()
	return f()
}

// listen listens in the machine until the test's end.
func (m *machine) listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	var listener net.Listener
	err := m.do(func() (err error) {
		listener, err = net.Listen("tcp4", addr)
		return err
	})
	if err != nil {
		t.Fatalf("on %s: %v", m.name, err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// dial connects from an address of the machine, "" for the one that suits.
func (m *machine) dial(from, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	var conn net.Conn
	err := m.do(func() (err error) {
		conn, err = d.Dial("tcp4", addr)
		return err
	})
	return conn, err
}

// firstLine connects, says something and returns the first line of the answer.
func (m *machine) firstLine(from, addr, say string) (string, error) {
	conn, err := m.dial(from, addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, say); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}
