// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/haproxy/check"
)

// Host is the machine that is set up. The zero value is the one we run on.
type Host struct {
	Root string // before every path; for tests
	// Run carries out a command; nil is os/exec. It is only ever systemctl.
	Run func(ctx context.Context, name string, args ...string) error
	// Check asks HAProxy whether it would start; nil is HAProxy itself.
	Check func(ctx context.Context, c *config.Config) error
}

func (h *Host) path(p string) string { return filepath.Join("/", h.Root, p) }

// Plan is how things are, and what there is to do.
type Plan struct {
	Dropin   string   // text of the drop-in; "" where none is needed
	Problems []string // what the operator has to settle first: nothing is done while there are any
	Notes    []string // what the operator should know
	Written  bool     // the drop-in has the settings that it needs
	Folder   bool     // the folder is there
	Running  bool     // HAProxy runs
	Loaded   bool     // it has been started with folder and master CLI

	folder string
}

// Done reports whether nothing is to do.
func (p *Plan) Done() bool {
	return len(p.Problems) == 0 && p.Written && p.Folder && p.Running && p.Loaded
}

// Plan looks at the machine and changes nothing. The error tells that it could
// not look.
func (h *Host) Plan(ctx context.Context, c *config.Config) (*Plan, error) {
	p := &Plan{folder: c.HAProxy.Folder}
	s, err := h.readService()
	if err != nil {
		return nil, err
	}
	p.askService(s, c.HAProxy)
	if err := h.lookForClashes(p, c); err != nil {
		return nil, err
	}
	if p.Folder, err = h.exists(p.folder); err != nil {
		return nil, err
	}
	if err := h.check(ctx, c); err != nil {
		p.Problems = append(p.Problems, err.Error())
	}
	written, err := os.ReadFile(h.path(dropinFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	p.Written = sameSettings(string(written), p.Dropin)
	if p.folder != config.Default().HAProxy.Folder {
		p.Notes = append(p.Notes, fmt.Sprintf("podgate.service may write below /var/lib/podgate alone: give it haproxy.folder by \"systemctl edit podgate\", [Service] ReadWritePaths=%s", p.folder))
	}
	pidFile := "/run/haproxy.pid"
	if v, ok := s.variables["PIDFILE"]; ok {
		pidFile = v.value
	}
	words := h.commandLine(ctx, pidFile)
	p.Running = len(words) > 0
	p.Loaded = p.Running && len(needed(words, p.folder, c.HAProxy.MasterSocket)) == 0
	return p, nil
}

// askService finds the words that the service lacks, and what keeps a drop-in
// from adding them.
func (p *Plan) askService(s service, want config.HAProxy) {
	given := s.variables[options]
	words := strings.Fields(given.value)
	add := needed(append(slices.Clone(s.exec), words...), want.Folder, want.MasterSocket)
	switch {
	case len(add) == 0:
	case given.wins:
		p.Problems = append(p.Problems, fmt.Sprintf("%s: %s is read after every drop-in and wins: add to its value: %s", given.file, options, strings.Join(add, " ")))
	case !slices.Contains(s.exec, "$"+options):
		p.Problems = append(p.Problems, fmt.Sprintf("ExecStart of %s does not take $%s: add to it: %s", unitName, options, strings.Join(add, " ")))
	default:
		p.Dropin = dropin(words, add)
	}
	if !slices.ContainsFunc(s.exec, func(word string) bool { return strings.HasPrefix(word, "-W") }) {
		p.Problems = append(p.Problems, fmt.Sprintf("%s runs HAProxy without -Ws, as no master with a worker: it cannot be reloaded without loss", unitName))
	}
	if loaded := s.files(want.Folder); !slices.Equal(loaded, want.Files) {
		from := unitName
		if v, ok := s.variables["CONFIG"]; ok {
			from = v.file
		}
		p.Problems = append(p.Problems, fmt.Sprintf("%s has HAProxy load %s, and podgate would check %s: set haproxy.config in podgate.toml to %s", from, quoted(loaded), quoted(want.Files), quoted(loaded)))
	}
}

// quoted is a list as podgate.toml has it.
func quoted(list []string) string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// lookForClashes finds addresses that podgate's frontends would share with
// others.
func (h *Host) lookForClashes(p *Plan, c *config.Config) error {
	wanted := listenAddrs(c)
	var sockets []string
	for _, path := range c.HAProxy.Files {
		files, err := h.readOperatorFile(path)
		if err != nil {
			return err
		}
		for _, file := range files {
			sockets = append(sockets, file.sockets...)
			p.clashesWith(file, wanted)
			if file.maxconn > 0 {
				p.Notes = append(p.Notes, fmt.Sprintf("%s:%d: with maxconn HAProxy may open twice as many files, and every checked server can take one: leave it out, then HAProxy takes what the system gives", file.path, file.maxconn))
			}
			for _, b := range file.binds {
				for _, r := range c.TCP.AllowedPorts {
					if r.First <= b.last.Port() && b.first.Port() <= r.Last {
						p.Notes = append(p.Notes, fmt.Sprintf("%s:%d: %s is in tcp.allowed_ports: a Service whose tcp annotation has this port is not served there", file.path, b.line, b.text))
					}
				}
			}
		}
	}
	if !slices.Contains(sockets, c.HAProxy.AdminSocket) {
		p.Notes = append(p.Notes, fmt.Sprintf("no \"stats socket %s ... level admin\" is in %s: podgate reaches HAProxy through its master alone", c.HAProxy.AdminSocket, quoted(c.HAProxy.Files)))
	}
	listeners, err := check.Listeners(h.path("/proc/self/net"))
	if err != nil {
		return err
	}
	var owners map[string]string
	for _, l := range listeners {
		for _, want := range wanted {
			if !check.Overlap(l.Addr, want) {
				continue
			}
			if owners == nil {
				owners = h.owners()
			}
			owner := owners[l.Inode]
			if owner == "" || strings.HasPrefix(owner, "haproxy ") { // not ours to see; or its files tell whose it is
				continue
			}
			p.Problems = append(p.Problems, fmt.Sprintf("%s listens on %s, and podgate.toml has %s: move one of them", owner, l.Addr, want))
		}
	}
	return nil
}

// clashesWith compares the operator's own frontends with the addresses wanted.
func (p *Plan) clashesWith(file operatorFile, wanted []netip.AddrPort) {
	for _, b := range file.binds {
		for _, want := range wanted {
			if b.clashes(want) {
				p.Problems = append(p.Problems, fmt.Sprintf("%s:%d: %s, and podgate.toml has %s: HAProxy would give each of the two a part of the connections; move one of them", file.path, b.line, b.text, want))
			}
		}
	}
}

// check has HAProxy read the operator's files, with what podgate would write by
// itself, and with what is written.
func (h *Host) check(ctx context.Context, c *config.Config) error {
	if h.Check != nil {
		return h.Check(ctx, c)
	}
	binary := check.HAProxy{Binary: c.HAProxy.Binary, Files: c.HAProxy.Files}
	if err := binary.State(ctx, compile.WithoutServices(c, nil)); err != nil {
		return err
	}
	if there, err := h.exists(c.HAProxy.Folder); err != nil || !there {
		return err
	}
	return binary.Folder(ctx, c.HAProxy.Folder)
}

func (h *Host) exists(folder string) (bool, error) {
	info, err := os.Stat(h.path(folder))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.IsDir():
		return false, fmt.Errorf("%s is no folder", folder)
	}
	return true, nil
}

// reloadTime bounds how long HAProxy, in the middle of a reload, cannot be told
// from one that does not run: with each its master empties the pid file and
// starts its program anew. On 2.6 to 3.4 that takes milliseconds.
const reloadTime = 2 * time.Second

// commandLine is that of the process whose number is in the file; nil if there
// is none, or it is no HAProxy.
func (h *Host) commandLine(ctx context.Context, pidFile string) []string {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	for {
		text, err := os.ReadFile(h.path(pidFile))
		if err != nil {
			return nil
		}
		if words := h.haproxy(text); words != nil {
			return words
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

// haproxy is the command line of the process whose number a pid file begins with,
// nil if that is no HAProxy.
func (h *Host) haproxy(pidFile []byte) []string {
	pid, _, _ := strings.Cut(strings.TrimSpace(string(pidFile)), "\n")
	if _, err := strconv.Atoi(pid); err != nil {
		return nil
	}
	line, err := os.ReadFile(h.path(filepath.Join("/proc", pid, "cmdline")))
	words := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	if err != nil || filepath.Base(words[0]) != "haproxy" {
		return nil
	}
	return words
}
