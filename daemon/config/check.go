// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
)

// check refuses what each key allows and their sum does not. It leaves out what
// rests on a key that was refused already.
func (d *document) check(c *Config) {
	d.checkConnection(&c.Kubernetes)
	d.checkHAProxy(&c.HAProxy)
	d.checkListeners(c)
	d.checkHTTPS(&c.HTTPS)
	d.checkTCP(c)
	d.checkCloud(c)
}

// checkConnection sees that there is one way to the API server.
func (d *document) checkConnection(k *Kubernetes) {
	const kubeconfig, server = "kubernetes.kubeconfig", "kubernetes.server"
	if !d.sound("kubernetes", kubeconfig, server) {
		return
	}
	switch {
	case k.Kubeconfig == "" && len(k.Servers) == 0:
		d.refuse("kubernetes", "kubernetes", `names no API server (give kubeconfig = "/path/to/kubeconfig", or server = "https://HOST:6443" with ca_file and token_file)`)
		return
	case k.Kubeconfig != "" && len(k.Servers) > 0:
		d.refuse(server, server, "cannot stand beside kubeconfig, which names a server too (remove one of them)")
		return
	}
	if k.Kubeconfig == "" && k.Context != "" {
		d.refuse("kubernetes.context", "kubernetes.context", "is that of a kubeconfig, and there is none")
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
			d.refuse(credential.key, credential.key, "belongs to server; the kubeconfig brings its own")
		case slices.ContainsFunc(k.Servers, func(s string) bool { return strings.HasPrefix(s, "http://") }):
			d.refuse(credential.key, credential.key, "is not used over http, which is readable to others (write server as https://...)")
		}
	}
	d.checkTogether("kubernetes.client_certificate", k.ClientCertificate, "kubernetes.client_key", k.ClientKey)
}

// checkTogether refuses one of two keys without the other.
func (d *document) checkTogether(a, valueOfA, b, valueOfB string) {
	if !d.sound(a, b) {
		return
	}
	if valueOfA != "" && valueOfB == "" {
		d.refuse(a, a, "needs %s beside it", b)
	}
	if valueOfB != "" && valueOfA == "" {
		d.refuse(b, b, "needs %s beside it", a)
	}
}

func (d *document) checkHAProxy(h *HAProxy) {
	const admin, master = "haproxy.admin_socket", "haproxy.master_socket"
	if d.sound(admin, master) && h.AdminSocket == h.MasterSocket {
		d.refuse(master, master, "%q is the admin_socket; the master CLI is another", h.MasterSocket)
	}
	if d.sound("haproxy.folder") {
		for _, file := range h.Files {
			if strings.HasPrefix(file, h.Folder+"/") {
				d.refuse("haproxy.folder", "haproxy.folder", "%q holds %q, and podgate needs a folder of its own", h.Folder, file)
			}
		}
	}
}

// checkTCP sees that Services can listen where they may, and cannot take a
// port of the HTTP and TLS frontends.
func (d *document) checkTCP(c *Config) {
	const key = "tcp.allowed_ports"
	if d.sound("tcp.addresses") && len(c.TCP.Addresses) == 0 && len(c.TCP.AllowedPorts) > 0 {
		d.refuse("tcp.addresses", "tcp.addresses", "is empty, so that nothing listens on the allowed_ports")
	}
	section, _ := d.tree["tcp"].(map[string]any)
	entries, _ := value{d, key, key, section["allowed_ports"]}.entries()
	for _, e := range entries {
		r, err := ports(e.v)
		if err != nil {
			continue
		}
		for _, l := range c.listeners() {
			if p := l.addr.Port(); r.Contains(p) && d.sound(l.key) {
				e.refuse("%s is in use by %s %s", printPorts(PortRange{p, p}), l.key, l.print(l.addr))
			}
		}
	}
}

// checkGrant sees that a [[grant]] says to whom, and what.
func (d *document) checkGrant(v value) {
	table, _ := v.v.(map[string]any)
	names := 0
	for _, k := range grantKeys(new(Grant)) {
		if _, ok := table[k.name]; ok {
			names++
		}
	}
	if _, ok := table["namespace"]; !ok {
		d.refuse(v.path, join(v.key, "namespace"), "is missing")
	} else if names == 1 {
		d.refuse(v.path, v.key, "grants nothing (give hosts, paths, tcp_ports or annotations)")
	}
}
