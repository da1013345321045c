// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"testing"

	"podgate/daemon/edgetest"
)

func TestPodgateTOMLSetsATCPPort(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	addr := e.freeAddr(t)
	e.service(t, "db", nil, newPod(t, "db-0"))
	e.service(t, "evil", map[string]string{"tcp": fmt.Sprint(addr.Port())}, newPod(t, "evil-0"))
	e.start(t)
	e.awaitAnswer(t, "any", "/db/", "200 db-0 /")
	e.configure(t, fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d]\n[[tcp.service]]\nnamespace = %q\nname = \"db\"\nport = 80\nlisten = %d\n",
		addr.Addr(), addr.Port(), edgetest.Namespace, addr.Port()))
	eventually(t, "the TCP port", func() error {
		got, err := from("127.96.7.7", addr, "", "/bytes")
		if err == nil && got != "200 db-0 /bytes" {
			err = fmt.Errorf("got %q", got)
		}
		return err
	})
	e.awaitAnswer(t, "any", "/db/", notFound)
	e.awaitLog(t, fmt.Sprintf("TCP port %d is set for Service shop/db port 80 in podgate.toml; the port is not served", addr.Port()))
}
