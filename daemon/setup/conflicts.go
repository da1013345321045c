// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/haproxy/check"
)

// operatorFile is the settings in one of the operator's files that concern podgate.
type operatorFile struct {
	path    string
	binds   []bind
	sockets []string // paths of the stats sockets with level admin
	maxconn int      // line of maxconn in the global section; 0 for none
}

// bind is an address, or a range of ports, that a frontend of the operator listens on.
type bind struct {
	line        int
	text        string
	first, last netip.AddrPort
	onlyIPv6    bool
}

// readOperatorFile reads a configuration file, or the *.cfg files of a folder. It
// ignores what it does not understand.
func (h *Host) readOperatorFile(path string) ([]operatorFile, error) {
	info, err := os.Stat(h.path(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // validate reports it
	} else if err != nil {
		return nil, err
	}
	paths := []string{path}
	if info.IsDir() {
		if paths, err = filepath.Glob(filepath.Join(h.path(path), "*.cfg")); err != nil {
			return nil, err
		}
		for i := range paths {
			paths[i] = filepath.Join(path, filepath.Base(paths[i]))
		}
	}
	var files []operatorFile
	for _, p := range paths {
		text, err := os.ReadFile(h.path(p))
		if err != nil {
			return nil, err
		}
		files = append(files, parseOperatorFile(p, string(text)))
	}
	return files, nil
}

func parseOperatorFile(path, text string) operatorFile {
	file := operatorFile{path: path}
	var section string
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if strings.TrimLeft(line, " \t") == line {
			section = words[0]
		}
		switch {
		case words[0] == "bind" && len(words) > 1:
			for _, one := range strings.Split(words[1], ",") {
				if b, ok := parseBind(one); ok {
					b.line, b.text = number, "bind "+one
					b.onlyIPv6 = strings.Contains(line, " v6only")
					file.binds = append(file.binds, b)
				}
			}
		case len(words) > 2 && words[0] == "stats" && words[1] == "socket" && strings.Contains(line, " level admin"):
			file.sockets = append(file.sockets, strings.TrimPrefix(words[2], "unix@"))
		case words[0] == "maxconn" && section == "global":
			file.maxconn = number
		}
	}
	return file
}

// parseBind parses an IP address, or "*" or nothing for every IPv4 address, with a
// port or a range of ports (HAProxy configuration manual, "bind"). It reports false
// for other addresses, such as sockets and names.
func parseBind(text string) (bind, bool) {
	any4 := netip.IPv4Unspecified()
	text = strings.TrimPrefix(text, "ipv4@")
	if rest, ok := strings.CutPrefix(text, "ipv6@"); ok {
		text, any4 = rest, netip.IPv6Unspecified()
	}
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return bind{}, false
	}
	host, ports := strings.Trim(text[:i], "[]"), text[i+1:]
	addr := any4
	if host != "" && host != "*" {
		var err error
		if addr, err = netip.ParseAddr(host); err != nil {
			return bind{}, false
		}
	}
	from, to, isRange := strings.Cut(ports, "-")
	if !isRange {
		to = from
	}
	first, err := strconv.ParseUint(from, 10, 16)
	last, err2 := strconv.ParseUint(to, 10, 16)
	if err != nil || err2 != nil {
		return bind{}, false
	}
	return bind{first: netip.AddrPortFrom(addr, uint16(first)), last: netip.AddrPortFrom(addr, uint16(last))}, true
}

// conflicts reports whether the bind would receive connections to addr. HAProxy lets
// two of its frontends listen on one address: each receives a part of the connections.
func (b bind) conflicts(addr netip.AddrPort) bool {
	if addr.Port() < b.first.Port() || b.last.Port() < addr.Port() || b.onlyIPv6 && addr.Addr().Is4() {
		return false
	}
	return check.Overlap(netip.AddrPortFrom(b.first.Addr(), addr.Port()), addr)
}

// listenAddrs returns the addresses of the frontends in podgate.toml.
func listenAddrs(c *config.Config) []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, f := range compile.WithoutServices(c, nil).Frontends {
		addrs = append(addrs, f.Binds...)
		if f.Relay.IsValid() {
			addrs = append(addrs, f.Relay)
		}
	}
	return addrs
}

// process is a running process.
type process struct{ name, pid string }

func (p process) String() string { return fmt.Sprintf("%s (process %s)", p.name, p.pid) }

// owners returns the process that has each socket, by inode. Only root sees the sockets
// of other users.
func (h *Host) owners() map[string]process {
	owners := map[string]process{}
	links, err := filepath.Glob(h.path("/proc/[0-9]*/fd/*"))
	if err != nil {
		return owners
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		inode, ok := strings.CutPrefix(target, "socket:[")
		if err != nil || !ok {
			continue
		}
		folder := filepath.Dir(filepath.Dir(link))
		if comm, err := os.ReadFile(filepath.Join(folder, "comm")); err == nil {
			owners[strings.TrimSuffix(inode, "]")] = process{strings.TrimSpace(string(comm)), filepath.Base(folder)}
		}
	}
	return owners
}
