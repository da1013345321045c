// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"strings"
)

// header says what there is to look at.
func (d *demo) header(e *edge, server string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "podgate %s, a real HAProxy and a made-up cluster. To try in another terminal:\n\n", d.Version)
	for _, k := range kinds(e.tcp) {
		fmt.Fprintf(&b, "  %-56s %s\n", command(e, k), k.hint)
	}
	fmt.Fprintf(&b, `
  status page     http://%s/
  in a terminal   podgate status --socket %s
                  podgate explain --socket %[2]s cart
  podgate.toml    %[3]s
  podgate's log   %[4]s
  HAProxy's files %[5]s
  its socket      %[6]s
  API server      curl %[7]s/api/v1/namespaces/%[8]s/services

The pods roll, scale and move the whole time, Services come and go. End: Ctrl-C.

`, e.admin, e.socket, e.toml, e.log.Name(), e.haproxy.Folder, e.haproxy.Admin, server, namespace)
	return b.String()
}

// command is how to ask for a Service.
func command(e *edge, k kind) string {
	t := newTarget(k, e.http)
	if k.host != "" {
		return fmt.Sprintf("curl -H 'Host: %s' http://%s%s", k.host, t.addr, k.path)
	}
	return "curl " + t.url()
}
