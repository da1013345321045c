// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

func TestMasterCLIReplacesAMissingAdminSocket(t *testing.T) {
	pod, _ := newPod(t)
	b, s := newShop(t, nil, pod)
	pid := b.Pid()
	gone := b.Admin + ".gone"
	must(t, os.Rename(b.Admin, gone))

	p, err := b.Process(t.Context())
	if err != nil || p.Pid != pid {
		t.Fatalf("Process: %+v, %v, want Pid %d", p, err, pid)
	}
	if err := b.AdminSocket(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("AdminSocket: %v, want that it does not exist", err)
	}
	want := s
	want.Backends = haproxy.ListOf(new(*s.Backends.At(0)))
	want.Backends.At(0).Servers = append(manyServers(500), pod)
	slices.SortFunc(want.Backends.At(0).Servers, func(a, b haproxy.Server) int { return a.Addr.Compare(b.Addr) })
	want.Routes = routes(3000)
	began := time.Now()
	b.apply(t, haproxy.Diff(b.observe(t, s), want))
	t.Logf("added 500 servers and 3000 routes in %v", time.Since(began))
	if plan := haproxy.Diff(b.observe(t, s), want); !plan.Empty() {
		t.Errorf("the Plan is not empty: %d servers to add, %d maps, %d servers to remove", len(plan.Add), len(plan.Maps), len(plan.Leave))
	}

	b.apply(t, haproxy.Diff(b.observe(t, s), s))
	compare(t, "Servers", s.Backends.At(0).Servers, b.servers(t, "shop"))

	must(t, os.Rename(gone, b.Admin))
	b.TryAdminSocket()
	compare(t, "Servers, by the admin socket", s.Backends.At(0).Servers, b.servers(t, "shop"))
	if err := b.AdminSocket(); err != nil {
		t.Errorf("AdminSocket: %v, want nil after the socket is back", err)
	}
}

func manyServers(n int) []haproxy.Server {
	var all []haproxy.Server
	for i := range n {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, byte(i >> 8), byte(i)}), 8080)
		all = append(all, haproxy.Server{Addr: addr, State: haproxy.Drain})
	}
	return all
}

func TestReloadWithoutAdminSocket(t *testing.T) {
	b, s := newShop(t, nil)
	must(t, os.Remove(b.Admin))
	if p := b.load(t, s); p.Pid == 0 {
		t.Errorf("Reload: %+v", p)
	}
	compare(t, "Servers", []haproxy.Server(nil), b.servers(t, "shop"))
}

func TestAdminSocketThatDoesNotAnswer(t *testing.T) {
	for _, row := range []struct {
		name, reply string
		hangs       bool
	}{
		{"no reply", "", false},
		{"half a reply", "2.6.12\n\nPid: 7\n", false},
		{"it hangs", "", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			dead := newFakeSocket(t, row.reply)
			dead.hangs = row.hangs
			c := runtime.New(dead.path, b.Master, b.Folder)
			for range 2 {
				p, err := c.Process(t.Context())
				if err != nil || p.Pid != b.Pid() {
					t.Fatalf("Process: %+v, %v, want Pid %d", p, err, b.Pid())
				}
			}
			tried := dead.served.Load()
			if _, err := c.Process(t.Context()); err != nil || dead.served.Load() != tried {
				t.Errorf("Process: %v, with %d attempts at the dead socket, want %d", err, dead.served.Load(), tried)
			}
			c.TryAdminSocket()
			if _, err := c.Process(t.Context()); err != nil || c.AdminSocket() == nil {
				t.Errorf("Process: %v, AdminSocket: %v, want nil and an error", err, c.AdminSocket())
			}
		})
	}
}

func TestAdminSocketIsUsedAgainAfterAReload(t *testing.T) {
	b, s := newShop(t, nil)
	moved := b.Admin + ".moved"
	must(t, os.Rename(b.Admin, moved))
	b.observe(t, s)
	must(t, os.Rename(moved, b.Admin))
	b.load(t, s)
	if err := b.AdminSocket(); err != nil {
		t.Errorf("AdminSocket: %v", err)
	}
}
