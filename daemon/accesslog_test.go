// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheAccessLogNamesTheService reads what HAProxy logs as syslog would.
func TestTheAccessLogNamesTheService(t *testing.T) {
	tw := newTown(t)
	socket := filepath.Join(filepath.Dir(tw.haproxy.Base), "log.sock")
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	base, err := os.ReadFile(tw.haproxy.Base)
	if err == nil {
		err = os.WriteFile(tw.haproxy.Base, []byte(strings.Replace(string(base), "global\n", "global\n  log "+socket+" format raw local0\n", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	toml, err := os.ReadFile(tw.toml)
	if err == nil {
		err = os.WriteFile(tw.toml, []byte(strings.Replace(string(toml), "[haproxy]\n", "[haproxy]\naccess_log = \"json\"\n", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := newPod(t, "cart-0")
	tw.service("cart", nil, p)
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+tw.http.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = `/cart/x?q="y"\z` // as it is
	req.Host = `any`
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	var line struct {
		Namespace, Service, Port, Pod, Method, Host, URI, Client, Backend string
		Status                                                            int
		Time                                                              time.Time
	}
	text := make([]byte, 64<<10)
	eventually(t, "the line of the request", func() error {
		log.SetReadDeadline(time.Now().Add(time.Second))
		n, err := log.Read(text)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text[:n], &line); err != nil || line.URI != req.URL.Opaque {
			return fmt.Errorf("%w: %s", err, text[:n])
		}
		return nil
	})
	if line.Namespace != "shop" || line.Service != "cart" || line.Port != "80" || line.Pod != p.addr.String() || line.Status != 200 ||
		line.Method != "GET" || line.Host != "any" || time.Since(line.Time).Abs() > time.Minute {
		t.Errorf("got %+v", line)
	}
}
