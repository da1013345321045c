// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy/check"
)

func TestBindsAreTheTCPAddressesInTheOperatorsFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := `global
  stats socket /run/haproxy.sock level admin
  stats socket ipv4@127.0.0.1:9999 level admin
defaults
  mode http
frontend one
  bind :80
  bind *:81 ssl crt /x.pem
  bind "192.0.2.1:8000-8010,[2001:db8::1]:82", # rejected by HAProxy
  bind ipv6@:83 v6only
  bind :::84
  bind [::]:85 v4v6
  bind tcp4@192.0.2.1:86
  bind ::ffff:192.0.2.1:87
  bind unix@/run/x:88
  bind abns@x:89
  bind quic4@:90 ssl crt /x.pem
  bind fd@${FD}
  bind "${ADDR}:91"
  bind localhost:92
  bind 192.0.2.1:93 namespace other
  # bind :94
  server s 192.0.2.1:95
peers mine
  bind 192.0.2.1:1024
  peer other 192.0.2.2:1024
  server self
listen two
  bind fe80::1%eth0:96
  bind
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	binds, err := check.HAProxy{Files: []string{file}}.Binds()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range binds {
		if b.File != file {
			t.Errorf("file %q", b.File)
		}
		got = append(got, fmt.Sprintf("%s %d-%d", b.Addr, b.First, b.Last))
	}
	want := []string{
		"127.0.0.1 9999-9999",
		"0.0.0.0 80-80", "0.0.0.0 81-81", "192.0.2.1 8000-8010", "2001:db8::1 82-82", ":: 83-83",
		":: 84-84", "0.0.0.0 84-84", ":: 85-85", "0.0.0.0 85-85", "192.0.2.1 86-86", "192.0.2.1 87-87",
		"192.0.2.1 1024-1024", "192.0.2.2 1024-1024", "fe80::1 96-96",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
