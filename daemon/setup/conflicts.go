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

// operatorFile is what of one of the operator's files concerns podgate.
type operatorFile struct {
	path    string
	binds   []bind
	sockets []string // paths of the stats sockets of level admin
	maxconn int      // line of maxconn in the global section; 0 for none
}

// bind is an address on which the operator's HAProxy listens.
type bind struct {
	line        int
	text        string
	first, last netip.AddrPort
	onlyIPv6    bool
}

// readOperatorFile looks through a configuration file, or the *.cfg of a
// folder. What it does not understand it leaves to HAProxy.
func (h *Host) readOperatorFile(path string) ([]operatorFile, error) {
	info, err := os.Stat(h.path(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // HAProxy tells
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

// parseBind understands addresses in numbers, "*" and nothing for every IPv4
// address, and ranges of ports (HAProxy configuration manual, "bind").
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

// clashes reports whether both cannot have all connections of addr. HAProxy
// lets its own frontends share an address: each has a part of the connections.
func (b bind) clashes(addr netip.AddrPort) bool {
	if addr.Port() < b.first.Port() || b.last.Port() < addr.Port() || b.onlyIPv6 && addr.Addr().Is4() {
		return false
	}
	return check.Overlap(netip.AddrPortFrom(b.first.Addr(), addr.Port()), addr)
}

// listenAddrs returns the addresses that podgate.toml asks for by itself, without a
// Service.
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

// owners names the process behind each socket that listens, by inode. Those of
// others are seen by root alone.
func (h *Host) owners() map[string]string {
	owners := map[string]string{}
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
		process := filepath.Dir(filepath.Dir(link))
		if comm, err := os.ReadFile(filepath.Join(process, "comm")); err == nil {
			owners[strings.TrimSuffix(inode, "]")] = fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(comm)), filepath.Base(process))
		}
	}
	return owners
}
