// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"net/netip"
	"testing"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
)

// box is a HAProxy and a Client that speaks to it.
type box struct {
	*haproxytest.HAProxy
	*runtime.Client
}

// newBox runs HAProxy with an empty folder.
func newBox(t *testing.T) box {
	t.Helper()
	h := haproxytest.Run(t, haproxytest.Options{})
	return box{h, runtime.New(h.Admin, h.Master, h.Folder)}
}

// newBoxWith runs HAProxy with the files of s.
func newBoxWith(t *testing.T, s haproxy.State) box {
	t.Helper()
	b := newBox(t)
	b.load(t, s)
	return b
}

// write puts the files of s into the folder and returns their generation.
func (b box) write(t *testing.T, s haproxy.State) string {
	t.Helper()
	files, err := cfgfile.Render(s, b.Folder)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{cfgfile.ConfigFile: files.Config}
	for name, content := range files.Maps {
		all[name] = content
	}
	if err := b.Write(all); err != nil {
		t.Fatal(err)
	}
	return files.Generation
}

// load is write and Reload.
func (b box) load(t *testing.T, s haproxy.State) runtime.Process {
	t.Helper()
	p, err := b.Reload(t.Context(), b.write(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// apply is Apply where nothing is refused.
func (b box) apply(t *testing.T, p haproxy.Plan) runtime.Applied {
	t.Helper()
	a, err := b.Apply(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range a.Refused {
		t.Errorf("refused: %s", r)
	}
	return a
}

func (b box) freeAddr(t *testing.T) netip.AddrPort {
	t.Helper()
	addr, err := b.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// observe is what the daemon knows of HAProxy once it has loaded s.
func (b box) observe(t *testing.T, loaded haproxy.State) haproxy.Running {
	t.Helper()
	servers, err := b.Servers(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	maps, err := b.Maps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return haproxy.Running{Loaded: loaded, Servers: servers, Maps: maps}
}
