// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/compile"
	"podgate/daemon/config"
)

func TestAMachineStaysThePointerWhileItIsEqual(t *testing.T) {
	c, files := config.Default(), &compile.TLSFiles{}
	c.Kubernetes.Servers = []string{"https://10.0.0.1:6443", "https://[fd00::1]:6443", "https://api.example.com", "https://127.0.0.1:6443"}
	reached := []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.1")}
	r := Reader{addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	read := func(files *compile.TLSFiles) *compile.Machine {
		t.Helper()
		m, err := r.Read(c, files, reached)
		if err != nil {
			t.Error(err)
		}
		return m
	}
	first := read(files)
	want := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::1")}
	if diff := cmp.Diff(want, first.APIServers, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("API servers (-want +got):\n%s", diff)
	}
	if read(files) != first {
		t.Error("nothing changed, but the Machine is another one")
	}
	if read(&compile.TLSFiles{}) == first {
		t.Error("other files have the same Machine")
	}
	for _, a := range first.Addresses {
		if a.IsLoopback() || a.IsLinkLocalUnicast() {
			t.Errorf("%s is an address of every machine", a)
		}
	}
}

func TestSectionsAndBindsOfTheOperator(t *testing.T) {
	folder := t.TempDir()
	text := "global\n  maxconn 5\ndefaults\n  mode http\ndefaults base # named\nlisten stats from base\n  bind :1\n" +
		"  backend \"theirs\"\nuse_backend no\nbackend # none\nlog-forward syslog\n#backend off\n"
	if err := os.WriteFile(filepath.Join(folder, "a.cfg"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "b.txt"), []byte("backend ignored\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range sections([]string{folder, filepath.Join(folder, "missing.cfg")}) {
		got = append(got, s.Kind+" "+s.Name)
	}
	if diff := cmp.Diff([]string{"defaults base", "listen stats", "log-forward syslog", "backend theirs"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	all := binds([]string{folder, filepath.Join(folder, "missing.cfg")})
	want := compile.Bind{File: filepath.Join(folder, "a.cfg"), Addr: netip.IPv4Unspecified(), Ports: config.PortRange{First: 1, Last: 1}}
	if len(all) != 1 || all[0] != want {
		t.Errorf("binds %v, want %v", all, want)
	}
}
