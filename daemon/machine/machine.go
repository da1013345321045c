// SPDX-License-Identifier: Apache-2.0

// Package machine reads what compile has to know about the machine that HAProxy runs on.
// It changes nothing, and does not know how compile uses it.
package machine

import (
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/config"
)

// every is the minimum time between two reads of the machine. A change is noticed in the
// first pass after it.
const every = 10 * time.Second

// Reader reads the machine repeatedly. The zero value is ready to use. It may not be
// used concurrently.
type Reader struct {
	last      *compile.Machine // nil before the first Read
	addresses []netip.Addr
	sections  []compile.Section
	binds     []compile.Bind
	files     []string  // that have these sections and binds
	at        time.Time // when all of these were read
	err       error     // of addresses
}

// Read returns the present Machine, the same pointer while it is equal. Reached are the
// addresses of API servers that podgate has connections to. On an error, the addresses
// of the machine are those that were read last.
func (r *Reader) Read(c *config.Config, files *compile.TLSFiles, reached []netip.Addr) (*compile.Machine, error) {
	if r.last == nil || time.Since(r.at) >= every || !slices.Equal(c.HAProxy.Files, r.files) {
		r.readAddresses()
		r.files, r.sections, r.binds = c.HAProxy.Files, sections(c.HAProxy.Files), binds(c.HAProxy.Files)
	}
	m := &compile.Machine{Files: files, Addresses: r.addresses, APIServers: apiServers(c, reached), Sections: r.sections, Binds: r.binds}
	if r.last != nil && r.last.Files == files && reflect.DeepEqual(r.last, m) {
		return r.last, r.err
	}
	r.last = m
	return m, r.err
}

// readAddresses reads the addresses of all interfaces.
func (r *Reader) readAddresses() {
	r.at = time.Now()
	all, err := net.InterfaceAddrs()
	if r.err = err; err != nil {
		return
	}
	var found []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			found = append(found, p.Addr().Unmap())
		}
	}
	r.addresses = ordinary(found)
}

// apiServers returns the addresses of API servers that podgate.toml names, and those
// reached.
func apiServers(c *config.Config, reached []netip.Addr) []netip.Addr {
	found := slices.Clone(reached)
	for _, server := range c.Kubernetes.Servers {
		if u, err := url.Parse(server); err == nil {
			if a, err := netip.ParseAddr(u.Hostname()); err == nil {
				found = append(found, a.Unmap())
			}
		}
	}
	return ordinary(found)
}

// ordinary returns the addresses that are neither loopback nor link-local, sorted and
// without duplicates.
func ordinary(all []netip.Addr) []netip.Addr {
	all = slices.DeleteFunc(all, func(a netip.Addr) bool { return a.IsLoopback() || a.IsLinkLocalUnicast() })
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
