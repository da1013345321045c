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

// Plan is the state of the machine, and the drop-in that it needs.
type Plan struct {
	Dropin   string   // text of the drop-in; "" if none is needed
	Problems []string // that the operator must solve before anything is changed
	Notes    []string // what the operator should know
	Written  bool     // the file has the settings of Dropin
	Folder   bool     // podgate's folder exists
	Running  bool     // HAProxy runs
	Loaded   bool     // HAProxy was started with podgate's folder and master CLI

	folder string
}

// Done reports whether no step is left.
func (p *Plan) Done() bool {
	return len(p.Problems) == 0 && p.Written && p.Folder && p.Running && p.Loaded
}

// Plan examines the machine and changes nothing. An error means that it could not
// examine it.
func (h *Host) Plan(ctx context.Context, c *config.Config) (*Plan, error) {
	p := &Plan{folder: c.HAProxy.Folder}
	s, err := h.readService()
	if err != nil {
		return nil, err
	}
	p.checkService(s, c.HAProxy)
	if err := h.findConflicts(p, c); err != nil {
		return nil, err
	}
	if p.Folder, err = h.folderExists(p.folder); err != nil {
		return nil, err
	}
	if err := h.validate(ctx, c); err != nil {
		p.Problems = append(p.Problems, err.Error())
	}
	written, err := os.ReadFile(h.path(dropinFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	p.Written = sameSettings(string(written), p.Dropin)
	if p.folder != config.Default().HAProxy.Folder {
		p.note(`podgate.service can write only below /var/lib/podgate: allow haproxy.folder with "systemctl edit podgate", [Service] ReadWritePaths=%s`,
			p.folder)
	}
	pidFile := "/run/haproxy.pid"
	if v, ok := s.variables["PIDFILE"]; ok {
		pidFile = v.value
	}
	words := h.commandLine(ctx, pidFile)
	p.Running = len(words) > 0
	p.Loaded = p.Running && len(missingOptions(words, p.folder, c.HAProxy.MasterSocket)) == 0
	return p, nil
}

// checkService sets the drop-in that the service needs, and finds what makes a drop-in
// ineffective.
func (p *Plan) checkService(s service, want config.HAProxy) {
	given := s.variables[options]
	words := strings.Fields(given.value)
	add := missingOptions(slices.Concat(s.exec, words), want.Folder, want.MasterSocket)
	switch {
	case len(add) == 0:
	case given.overrides:
		p.problem("%s: %s overrides every drop-in: add to its value: %s", given.file, options, strings.Join(add, " "))
	case !slices.Contains(s.exec, "$"+options):
		p.problem("ExecStart of %s does not use $%s: add to it: %s", unitName, options, strings.Join(add, " "))
	default:
		p.Dropin = newDropin(slices.Concat(words, add))
	}
	if !slices.ContainsFunc(s.exec, func(word string) bool { return strings.HasPrefix(word, "-W") }) {
		p.problem("%s runs HAProxy without -Ws, and so without a master process: it cannot be reloaded without loss", unitName)
	}
	if loaded := s.files(want.Folder); !slices.Equal(loaded, want.Files) {
		from := unitName
		if v, ok := s.variables["CONFIG"]; ok {
			from = v.file
		}
		p.problem("%s has HAProxy load %s, but podgate would validate %s: set haproxy.config in podgate.toml to %[2]s",
			from, quoted(loaded), quoted(want.Files))
	}
}

func (p *Plan) problem(format string, args ...any) {
	p.Problems = append(p.Problems, fmt.Sprintf(format, args...))
}

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// quoted is a list of strings in TOML.
func quoted(list []string) string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// findConflicts finds the operator's settings that conflict with podgate's frontends,
// and other processes that listen on their addresses.
func (h *Host) findConflicts(p *Plan, c *config.Config) error {
	wanted := listenAddrs(c)
	var sockets []string
	for _, path := range c.HAProxy.Files {
		files, err := h.readOperatorFile(path)
		if err != nil {
			return err
		}
		for _, file := range files {
			sockets = append(sockets, file.sockets...)
			p.addConflicts(file, wanted, c.TCP.AllowedPorts)
		}
	}
	if !slices.Contains(sockets, c.HAProxy.AdminSocket) {
		p.note("%s has no \"stats socket %s ... level admin\": podgate uses only the master CLI", quoted(c.HAProxy.Files), c.HAProxy.AdminSocket)
	}
	listeners, err := check.Listeners(h.path("/proc/self/net"))
	if err != nil {
		return err
	}
	var owners map[string]process
	for _, l := range listeners {
		for _, want := range wanted {
			if !check.Overlap(l.Addr, want) {
				continue
			}
			if owners == nil {
				owners = h.owners()
			}
			owner, known := owners[l.Inode]
			if known && owner.name != "haproxy" { // addConflicts reports those of HAProxy
				p.problem("%s listens on %s, and podgate.toml has %s: change one of them", owner, l.Addr, want)
			}
		}
	}
	return nil
}

// addConflicts compares a file of the operator with podgate's frontends, and with the
// ports that Services may claim.
func (p *Plan) addConflicts(file operatorFile, wanted []netip.AddrPort, allowed []config.PortRange) {
	if file.maxconn > 0 {
		p.note("%s:%d: maxconn limits HAProxy to about twice as many open files, and the health checks of many servers may need more: "+
			"without maxconn, the limit is that of the system", file.path, file.maxconn)
	}
	for _, b := range file.binds {
		for _, want := range wanted {
			if b.conflicts(want) {
				p.problem("%s:%d: %s, and podgate.toml has %s: each of them would receive a part of the connections; change one of them",
					file.path, b.line, b.text, want)
			}
		}
		for _, r := range allowed {
			if r.First <= b.last.Port() && b.first.Port() <= r.Last {
				p.note("%s:%d: %s is in tcp.allowed_ports: a Service whose tcp annotation has this port is not served there",
					file.path, b.line, b.text)
			}
		}
	}
}

// validate has HAProxy check the operator's files together with podgate's frontends,
// and together with the files in podgate's folder.
func (h *Host) validate(ctx context.Context, c *config.Config) error {
	if h.Validate != nil {
		return h.Validate(ctx, c)
	}
	binary := check.HAProxy{Binary: c.HAProxy.Binary, Files: c.HAProxy.Files}
	if err := binary.State(ctx, compile.WithoutServices(c, nil)); err != nil {
		return err
	}
	if exists, err := h.folderExists(c.HAProxy.Folder); err != nil || !exists {
		return err
	}
	return binary.Folder(ctx, c.HAProxy.Folder)
}

func (h *Host) folderExists(folder string) (bool, error) {
	info, err := os.Stat(h.path(folder))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.IsDir():
		return false, fmt.Errorf("%s is not a folder", folder)
	}
	return true, nil
}

// reloadTime is the maximum time for which a HAProxy that reloads looks as if it did
// not run: its master empties the pid file and executes its program again. On 2.6 to
// 3.4 that takes milliseconds.
const reloadTime = 2 * time.Second

// commandLine returns the command line of the HAProxy whose number is in the pid file;
// nil if it does not run.
func (h *Host) commandLine(ctx context.Context, pidFile string) []string {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	for {
		text, err := os.ReadFile(h.path(pidFile))
		if err != nil {
			return nil
		}
		if words := h.haproxyProcess(text); words != nil {
			return words
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

// haproxyProcess returns the command line of the process with the first number in a
// pid file; nil if it is not HAProxy.
func (h *Host) haproxyProcess(pidFile []byte) []string {
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
