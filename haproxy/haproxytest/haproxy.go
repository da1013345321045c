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

// Options are options of Start. The zero value is valid.
type Options struct {
	Binary string            // path of HAProxy; "" means that of the function Binary
	Global []string          // additional lines of the global section
	Name   string            // local peer name (haproxy -L); "" means the name of the host
	Files  map[string][]byte // files that Folder contains when HAProxy starts, by name
}

// HAProxy is a master with its workers (haproxy -W). Its methods may be called
// concurrently, except for Restart and Stop.
type HAProxy struct {
	Base   string // the operator's file, with the global section
	Folder string // podgate's configuration folder (haproxy -f Folder)
	Admin  string // stats socket, of level admin
	Master string // master CLI

	dir     string
	binary  string // an absolute path
	args    []string
	process *process

	mu    sync.Mutex
	ip    netip.Addr      // a loopback address that other tests probably do not use
	given map[uint16]bool // ports that FreeAddr returned
}

// Start runs HAProxy in a new temporary folder and returns when its worker answers.
// HAProxy runs until Stop, even after ctx ends. After an error HAProxy does not run
// and the folder is removed. Without a binary the error is exec.ErrNotFound.
func Start(ctx context.Context, o Options) (*HAProxy, error) {
	binary, err := Binary()
	if o.Binary != "" {
		binary, err = exec.LookPath(o.Binary)
	}
	if err != nil {
		return nil, err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "podgate") // a short path: those of sockets have at most 107 bytes
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
		ip:     netip.AddrFrom4([4]byte{127, byte(1 + rand.N(254)), byte(rand.N(256)), byte(1 + rand.N(254))}),
		given:  map[uint16]bool{},
	}
	if o.Name != "" {
		h.args = []string{"-L", o.Name}
	}
	if err := h.prepare(o); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := h.start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return h, nil
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

// base returns a minimal haproxy.cfg of an operator.
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

// Binary returns the path of HAProxy: $HAPROXY, or haproxy in $PATH, or that of Debian
// in /usr/sbin, which is not in the $PATH of every user.
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

// Write writes the files into the configuration folder, each atomically. HAProxy reads
// them at its next reload.
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

// FreeAddr returns a loopback address and port on which no process listens. It never
// returns the same port twice. The port is below those that Linux chooses for sockets, so
// that no other process gets it before HAProxy listens.
func (h *HAProxy) FreeAddr() (netip.AddrPort, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var failed error
	for range 1000 {
		port := uint16(10000 + rand.N(22768))
		if h.given[port] {
			continue
		}
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(h.ip, port)))
		if err != nil {
			failed = err
			continue
		}
		h.given[port] = true
		return l.Addr().(*net.TCPAddr).AddrPort(), l.Close()
	}
	return netip.AddrPort{}, fmt.Errorf("no free port of %s: %w", h.ip, failed)
}

// Section returns a [haproxy] section of podgate.toml for this HAProxy. The caller may
// append keys.
func (h *HAProxy) Section() string {
	return fmt.Sprintf(`[haproxy]
folder = %q
admin_socket = %q
master_socket = %q
binary = %q
config = [%q]
`, h.Folder, h.Admin, h.Master, h.binary, h.Base)
}

// Pid returns the process id of the newest worker, 0 if no worker answers. It asks the
// master: while HAProxy reloads, the old worker may still answer on the admin socket.
func (h *HAProxy) Pid() int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	reply, err := h.process.askUntil(ctx, h.Master, "@1 show info;quit", "Pid: ")
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(reply)
	return pid
}

// Log returns the end of the standard output and error of all processes since Start.
func (h *HAProxy) Log() string { return tail(h.logFile()) }

func (h *HAProxy) logFile() string { return filepath.Join(h.dir, "log") }

// Restart ends HAProxy and starts it again, with the present files of its folder and
// the same sockets.
func (h *HAProxy) Restart(ctx context.Context) error {
	h.process.stop()
	return h.start(ctx)
}

// Stop ends HAProxy with all its workers and removes its folder. Another call does
// nothing.
func (h *HAProxy) Stop() error {
	h.process.stop()
	return os.RemoveAll(h.dir)
}
