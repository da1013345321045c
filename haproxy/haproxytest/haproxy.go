// SPDX-License-Identifier: Apache-2.0

package haproxytest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options say how HAProxy is run. The zero value is of use.
type Options struct {
	Binary string            // of HAProxy; "" is Binary's
	Global []string          // more lines of the global section
	Name   string            // by which its peers know it (haproxy -L); "" is the host's
	Files  map[string][]byte // by name, in Folder before HAProxy starts
}

// HAProxy is a master with its workers (haproxy -W). Its methods may be called
// concurrently, but Restart and Stop by one goroutine.
type HAProxy struct {
	Base   string // the operator's file: the global section
	Folder string // the configuration folder (haproxy -f Folder), ours
	Admin  string // stats socket, of level admin
	Master string // master CLI

	dir     string
	binary  string // an absolute path
	args    []string
	process *process

	mu    sync.Mutex
	ip    netip.Addr // a loopback address that is likely nobody else's
	given map[uint16]bool
}

// Start runs HAProxy in a new temporary folder and returns when its worker
// answers. It runs until Stop, whatever becomes of ctx; on an error it runs no
// more and the folder is gone. Without a binary the error is exec.ErrNotFound.
func Start(ctx context.Context, o Options) (*HAProxy, error) {
	binary, err := o.binary()
	if err != nil {
		return nil, err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "podgate") // a short one: sockets have names of 107 bytes at most
	if err != nil {
		return nil, err
	}
	h := &HAProxy{
		Base:   filepath.Join(dir, "base.cfg"),
		Folder: filepath.Join(dir, "conf"),
		Admin:  filepath.Join(dir, "admin.sock"),
		Master: filepath.Join(dir, "master.sock"),
		dir:    dir,
		binary: binary,
		args:   localPeer(o.Name),
		ip:     netip.AddrFrom4([4]byte{127, byte(1 + rand.N(254)), byte(rand.N(256)), byte(1 + rand.N(254))}),
		given:  map[uint16]bool{},
	}
	if err := h.prepare(o); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := h.start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return h, nil
}

func (o Options) binary() (string, error) {
	if o.Binary != "" {
		return exec.LookPath(o.Binary)
	}
	return Binary()
}

func localPeer(name string) []string {
	if name == "" {
		return nil
	}
	return []string{"-L", name}
}

func (h *HAProxy) prepare(o Options) error {
	if err := os.Mkdir(h.Folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(h.Base, base(h.Admin, o.Global), 0o644); err != nil {
		return err
	}
	return h.Write(o.Files)
}

// base is what an operator's haproxy.cfg has, in small.
func base(admin string, global []string) []byte {
	lines := append([]string{
		"stats socket " + admin + " mode 600 level admin expose-fd listeners",
		"stats timeout 1m",
		"maxconn 2000",
		"hard-stop-after 20s",
	}, global...)
	return []byte("global\n  " + strings.Join(lines, "\n  ") + `

defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
`)
}

// Binary is the HAProxy that is run: $HAPROXY, or haproxy of $PATH, or Debian's,
// which is in /usr/sbin and so not in the $PATH of everybody.
func Binary() (string, error) {
	if name := os.Getenv("HAPROXY"); name != "" {
		return exec.LookPath(name)
	}
	binary, err := exec.LookPath("haproxy")
	if err != nil {
		if sbin, sbinErr := exec.LookPath("/usr/sbin/haproxy"); sbinErr == nil {
			return sbin, nil
		}
	}
	return binary, err
}

// Check has HAProxy read the configuration folder (haproxy -c) beside a base
// file of its own. The error holds what it says against it.
func Check(ctx context.Context, folder string) error {
	binary, err := Binary()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "podgate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "base.cfg")
	if err := os.WriteFile(file, base(filepath.Join(dir, "admin.sock"), nil), 0o644); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, binary, "-c", "-f", file, "-f", folder).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s -c: %w\n%s", binary, err, out)
	}
	return nil
}

// Write puts the files into the configuration folder, each at once. HAProxy
// reads them at its next reload.
func (h *HAProxy) Write(files map[string][]byte) error {
	for name, content := range files {
		path := filepath.Join(h.Folder, name)
		if err := os.WriteFile(path+".new", content, 0o644); err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	return nil
}

// FreeAddr returns a loopback address and port to bind that it has not returned
// before and on which nothing listened just now.
func (h *HAProxy) FreeAddr() (netip.AddrPort, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(h.ip, 0)))
		if err != nil {
			return netip.AddrPort{}, err
		}
		addr := l.Addr().(*net.TCPAddr).AddrPort()
		if err := l.Close(); err != nil {
			return netip.AddrPort{}, err
		}
		if !h.given[addr.Port()] {
			h.given[addr.Port()] = true
			return addr, nil
		}
	}
}

// Section is the beginning of the [haproxy] section that has podgate speak to
// this HAProxy; further keys of it may follow.
func (h *HAProxy) Section() string {
	return fmt.Sprintf(`[haproxy]
folder = %q
admin_socket = %q
master_socket = %q
binary = %q
config = [%q]
`, h.Folder, h.Admin, h.Master, h.binary, h.Base)
}

// Pid is the worker that serves, 0 if none answers.
func (h *HAProxy) Pid() int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	reply, err := ask(ctx, h.Admin, "show info", "Pid: ")
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(reply)
	return pid
}

// Log is the end of what HAProxy said on its standard error, of all its
// processes since Start.
func (h *HAProxy) Log() string { return tail(h.logFile()) }

func (h *HAProxy) logFile() string { return filepath.Join(h.dir, "log") }

// Restart ends HAProxy and runs it again with the files that are in its folder
// now, at the same sockets.
func (h *HAProxy) Restart(ctx context.Context) error {
	h.process.stop()
	return h.start(ctx)
}

// Stop ends HAProxy with all its workers and removes its folder. Calling it
// again does nothing.
func (h *HAProxy) Stop() error {
	h.process.stop()
	return os.RemoveAll(h.dir)
}
