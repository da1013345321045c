// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"strings"
)

// header lists the commands and files for the user.
func (d *demo) header(e *edge) string {
	var b strings.Builder
	fmt.Fprintf(&b, "podgate %s, a real HAProxy and a simulated cluster. Try in another terminal:\n\n", d.Version)
	for _, k := range kinds(e.tcp.Port()) {
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

Pods roll, scale and move all the time; Services are added and removed. Press Ctrl-C to stop.

`, e.admin, e.Socket, e.TOML, e.log.Name(), e.HAProxy.Folder, e.HAProxy.Admin, e.Cluster.URL(), namespace)
	return b.String()
}

// command returns a command that sends a request to a Service.
func command(e *edge, k kind) string {
	r := k.target(e.HTTP).Request
	if r.Host != "" {
		return fmt.Sprintf("curl -H 'Host: %s' http://%s%s", r.Host, r.Addr, r.Path)
	}
	return fmt.Sprintf("curl http://%s%s", r.Addr, r.Path)
}
