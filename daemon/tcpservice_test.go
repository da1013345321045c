// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

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

// TestTCPPortsThatLeadToEachOther has two Services whose endpoints are each other's TCP
// ports, and one whose endpoint is a frontend of the operator's own file.
func TestTCPPortsThatLeadToEachOther(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	a, b, own := e.freeAddr(t), e.freeAddr(t), e.freeAddr(t)
	base, err := os.ReadFile(e.HAProxy.Base)
	must(t, err)
	text := fmt.Sprintf("%s\nfrontend theirs\n  mode http\n  timeout client 5s\n  bind %s\n  http-request return status 200 content-type text/plain string theirs\n", base, own)
	must(t, os.WriteFile(e.HAProxy.Base, []byte(text), 0o600))
	e.service(t, "a", map[string]string{"tcp": fmt.Sprint(a.Port())})
	e.service(t, "b", map[string]string{"tcp": fmt.Sprint(b.Port())})
	e.service(t, "own", nil)
	e.service(t, "cart", nil, newPod(t, "cart-0"))
	for name, addr := range map[string]netip.AddrPort{"a": b, "b": a, "own": own} {
		must(t, e.Cluster.SetEndpoints(name, edgetest.ReadyAt(addr)...))
	}
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.configure(t, fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d, %d]\n", a.Addr(), a.Port(), b.Port()))
	const noServer = "503 <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>"
	e.awaitAnswer(t, "any", "/own/", noServer)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	if got, err := from("127.96.7.7", own, "", "/"); err != nil || got != "200 theirs" {
		t.Errorf("the operator's frontend: %q, %v", got, err)
	}
	for name, addr := range map[string]netip.AddrPort{"a": b, "b": a} {
		e.awaitLog(t, fmt.Sprintf("endpoints are not served: %s leads back to HAProxy, which may listen on ", addr))
		eventually(t, "TCP port of "+name, func() error { // without a server, HAProxy closes the connection
			conn, err := net.Dial("tcp", addr.String())
			if err != nil {
				return err
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			if n, err := conn.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				return fmt.Errorf("read %d bytes, %v", n, err)
			}
			return nil
		})
	}
	e.awaitLog(t, fmt.Sprintf("%s leads back to HAProxy, which listens on %s (%s)", own, own, e.HAProxy.Base))
	e.awaitNoDifference(t)
}
