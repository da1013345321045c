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
  podgate.toml    %s
  podgate's log   %s
  HAProxy's files %s
  its socket      %s
  API server      curl %s/api/v1/namespaces/%s/services

The pods roll, scale and move the whole time, Services come and go. End: Ctrl-C.

`, e.toml, e.log.Name(), e.haproxy.Folder, e.haproxy.Admin, server, namespace)
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
