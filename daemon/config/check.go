// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/netip"
	"slices"
	"strings"
)

// check rejects combinations of values that are valid on their own. It skips those
// with a key that was already rejected.
func (d *document) check(c *Config) {
	d.checkConnection(&c.Kubernetes)
	d.checkHAProxy(&c.HAProxy)
	listeners := d.listeners(c) // before one of their keys is rejected
	d.checkListeners(listeners)
	d.checkHTTPS(&c.HTTPS)
	d.checkTCP(&c.TCP, listeners)
	d.checkTCPServices(c, listeners)
	d.checkCloud(&c.Cloud)
}

// checkConnection requires exactly one way to reach the API server.
func (d *document) checkConnection(k *Kubernetes) {
	const kubeconfig, server = "kubernetes.kubeconfig", "kubernetes.server"
	if !d.valid("kubernetes", kubeconfig, server) {
		return
	}
	switch {
	case k.Kubeconfig == "" && len(k.Servers) == 0:
		d.reject("kubernetes", "kubernetes", `has no API server (write kubeconfig = "/path/to/kubeconfig", or server = "https://HOST:6443" with ca_file and token_file)`)
		return
	case k.Kubeconfig != "" && len(k.Servers) > 0:
		d.reject(server, server, "cannot be combined with kubeconfig, which also names a server (remove one of them)")
		return
	}
	if k.Kubeconfig == "" && k.Context != "" {
		d.reject("kubernetes.context", "kubernetes.context", "has no effect without kubeconfig")
	}
	for _, credential := range []struct{ key, value string }{
		{"kubernetes.ca_file", k.CAFile},
		{"kubernetes.token_file", k.TokenFile},
		{"kubernetes.client_certificate", k.ClientCertificate},
		{"kubernetes.client_key", k.ClientKey},
	} {
		switch {
		case credential.value == "":
		case k.Kubeconfig != "":
			d.reject(credential.key, credential.key, "cannot be combined with kubeconfig, which has its own credentials")
		case slices.ContainsFunc(k.Servers, func(s string) bool { return strings.HasPrefix(s, "http://") }):
			d.reject(credential.key, credential.key, "is not sent over http, which is not encrypted (write server as https://...)")
		}
	}
	d.checkTogether("kubernetes.client_certificate", k.ClientCertificate, "kubernetes.client_key", k.ClientKey)
}

// checkTogether rejects one of two keys without the other.
func (d *document) checkTogether(a, valueOfA, b, valueOfB string) {
	if !d.valid(a, b) {
		return
	}
	if valueOfA != "" && valueOfB == "" {
		d.reject(a, a, "requires %s", b)
	}
	if valueOfB != "" && valueOfA == "" {
		d.reject(b, b, "requires %s", a)
	}
}

func (d *document) checkHAProxy(h *HAProxy) {
	const admin, master = "haproxy.admin_socket", "haproxy.master_socket"
	if d.valid(admin, master) && h.AdminSocket == h.MasterSocket {
		d.reject(master, master, "%q is also admin_socket; the master CLI has a socket of its own", h.MasterSocket)
	}
	if d.valid("haproxy.folder") {
		for _, file := range h.Files {
			if strings.HasPrefix(file, h.Folder+"/") {
				d.reject("haproxy.folder", "haproxy.folder", "%q contains %q; podgate requires a folder of its own", h.Folder, file)
			}
		}
	}
}

// listeners returns c.Listeners() without those of rejected keys.
func (d *document) listeners(c *Config) []Listener {
	return slices.DeleteFunc(c.Listeners(), func(l Listener) bool { return !d.valid(l.Key) })
}

// conflict reports whether HAProxy cannot listen on both addresses.
func conflict(a, b netip.AddrPort) bool {
	same := a.Addr() == b.Addr()
	covered := a.Addr().Is4() == b.Addr().Is4() && (a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
	return a.Port() == b.Port() && (same || covered)
}

// checkListeners rejects an address that an earlier key has, and overlapping addresses
// for health checks.
func (d *document) checkListeners(all []Listener) {
	for i, l := range all {
		for _, before := range all[:i] {
			exclusive := l.Key != before.Key || strings.HasPrefix(l.Key, "cloud.")
			if exclusive && conflict(l.Addr, before.Addr) {
				d.reject(l.Key, l.Key, "%s is in use by %s", printBind(l.Addr), before)
			}
		}
	}
}

// checkTCP requires an address for allowed_ports, and rejects ports of other frontends.
func (d *document) checkTCP(t *TCP, listeners []Listener) {
	const key = "tcp.allowed_ports"
	if d.valid("tcp.addresses") && len(t.Addresses) == 0 && len(t.AllowedPorts) > 0 {
		d.reject("tcp.addresses", "tcp.addresses", "is empty, so that allowed_ports has no effect")
	}
	section, _ := d.tree["tcp"].(map[string]any)
	entries, _ := value{d, key, key, section["allowed_ports"]}.entries()
	for _, e := range entries {
		r, err := ports(e.v)
		if err != nil {
			continue
		}
		for _, l := range listeners {
			if p := l.Addr.Port(); r.Contains(p) {
				e.reject("%d is in use by %s", p, l)
			}
		}
	}
}

// checkGrant requires a namespace and at least one list in a [[grant]].
func (d *document) checkGrant(v value) {
	table, _ := v.v.(map[string]any)
	names := 0
	for _, k := range grantKeys(new(Grant)) {
		if _, ok := table[k.name]; ok {
			names++
		}
	}
	if _, ok := table["namespace"]; !ok {
		d.reject(v.path, join(v.key, "namespace"), "is required")
	} else if names == 1 {
		d.reject(v.path, v.key, "grants nothing (add hosts, paths, tcp_ports or annotations)")
	}
}
