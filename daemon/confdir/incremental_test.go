// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// walk is a simulated HAProxy whose servers change at random.
type walk struct {
	*rand.Rand
	have haproxy.Running
}

func newWalk(seed uint64, backends int) *walk {
	w := &walk{rand.New(rand.NewPCG(seed, 1)), haproxy.Running{Servers: map[string][]haproxy.Server{}}}
	var s haproxy.State
	var list []*haproxy.Backend
	for i := range backends {
		b := &haproxy.Backend{Name: fmt.Sprintf("shop_s%03d_80", i), Policy: haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.RoundRobin}, Options: haproxy.Options{Protocol: haproxy.Plain}}
		switch i % 5 {
		case 1:
			b.Policy.ClientAffinity = time.Hour
		case 2:
			b.Policy.Mode, b.TimeoutServer = haproxy.TCP, time.Minute
		case 3:
			b.Options.MaxConn = i
		}
		list = append(list, b)
		w.change(b.Name)
	}
	s.Backends = haproxy.ListOf(list...)
	w.have.Loaded, w.have.Maps = s.Structure(), s.Maps()
	return w
}

// change replaces the servers of a backend at random.
func (w *walk) change(backend string) {
	var servers []haproxy.Server
	for i := range w.IntN(6) {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i), byte(w.IntN(256)), 1}), uint16(1+w.IntN(9999)))
		state := []haproxy.ServerState{haproxy.Ready, haproxy.Drain, haproxy.Maint}[w.IntN(3)]
		servers = append(servers, haproxy.Server{Addr: addr, State: state, Weight: uint16(w.IntN(4))})
	}
	w.have.Servers[backend] = servers
}

// step changes some backends, or all, or none.
func (w *walk) step() {
	backends := w.have.Loaded.Backends
	for range []int{0, 1, 1, 2, 3, backends.Len()}[w.IntN(6)] {
		w.change(backends.At(w.IntN(backends.Len())).Name)
	}
}

// rendered returns the expected files.
func (w *walk) rendered(t *testing.T, d Dir) map[string][]byte {
	t.Helper()
	running := w.have.Loaded.Structure()
	for _, b := range running.Backends.All() {
		b.Servers = slices.DeleteFunc(slices.Clone(w.have.Servers[b.Name]), func(s haproxy.Server) bool { return s.State == haproxy.Maint })
	}
	files, err := cfgfile.Render(running, string(d))
	must(t, err)
	if files.Maps, err = cfgfile.RenderMaps(w.have.Maps); err != nil {
		t.Fatal(err)
	}
	files.Maps[cfgfile.ConfigFile] = files.Config()
	return files.Maps
}

func (w *walk) compare(t *testing.T, d Dir) {
	t.Helper()
	for name, want := range w.rendered(t, d) {
		got, err := os.ReadFile(filepath.Join(string(d), name))
		if err != nil || !bytes.Equal(want, got) {
			t.Fatalf("%s: %v\n%s\nwant\n%s", name, err, got, want)
		}
	}
	if s, ok := d.Loaded(d.lastGeneration()); !ok || s.Backends.Len() != w.have.Loaded.Backends.Len() {
		t.Fatalf("%s: %v, %d backends", loadedFile, ok, s.Backends.Len())
	}
}

func TestChangesGiveTheSameFilesAsACompleteWrite(t *testing.T) {
	for _, backends := range []int{1, 7, 60} {
		d := Dir(t.TempDir())
		w := newWalk(uint64(backends), backends)
		last := newWritten(w.have)
		must(t, last.writeAll(d))
		for range 25 {
			w.compare(t, d)
			before := d.fileID(loadedFile)
			w.step()
			next := newWritten(w.have)
			if !next.follows(last) {
				t.Fatal("a change of servers does not follow the last write")
			}
			must(t, next.writeChanges(d, last))
			if d.fileID(loadedFile) != before {
				t.Fatalf("%s was written again", loadedFile)
			}
			last = next
		}
	}
}

func TestUnchangedFilesAreNotWritten(t *testing.T) {
	d := Dir(t.TempDir())
	w := newWalk(1, 5)
	last := newWritten(w.have)
	must(t, d.writeRunning(last, nil))
	for name, next := range map[string]*written{"compared with the last write": last, "compared with the files": nil} {
		before := d.fileID(cfgfile.ConfigFile)
		must(t, d.writeRunning(newWritten(w.have), next))
		if after := d.fileID(cfgfile.ConfigFile); after != before {
			t.Errorf("%s: %v, then %v", name, before, after)
		}
	}
}

// TestFilesThatAnotherProcessChangedAreNotCopied changes the files between two writes.
func TestFilesThatAnotherProcessChangedAreNotCopied(t *testing.T) {
	d := Dir(t.TempDir())
	path := func(name string) string { return filepath.Join(string(d), name) }
	flip := func(t *testing.T, name string) { // in place, and as long as it was
		file, err := os.OpenFile(path(name), os.O_RDWR, 0)
		must(t, err)
		if _, err := file.WriteAt([]byte("#"), 0); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	w := newWalk(3, 20)
	w.have.Maps[slices.Index(haproxy.MapNames(), haproxy.RoutesMap)].Entries = []haproxy.MapEntry{{Key: "*/a/", Value: "shop_s000_80|2"}}
	for name, harm := range map[string]func(*testing.T){
		"nothing":                                 func(*testing.T) {},
		"the configuration is changed":            func(t *testing.T) { flip(t, cfgfile.ConfigFile) },
		"the loaded State is changed":             func(t *testing.T) { flip(t, loadedFile) },
		"a map is changed":                        func(t *testing.T) { flip(t, cfgfile.MapFile(haproxy.RoutesMap)) },
		"the configuration is truncated":          func(t *testing.T) { must(t, os.Truncate(path(cfgfile.ConfigFile), 100)) },
		"the configuration is missing":            func(t *testing.T) { must(t, os.Remove(path(cfgfile.ConfigFile))) },
		"the loaded State is missing":             func(t *testing.T) { must(t, os.Remove(path(loadedFile))) },
		"a map is missing":                        func(t *testing.T) { must(t, os.Remove(path(cfgfile.MapFile(haproxy.RoutesMap)))) },
		"another file replaces the configuration": func(t *testing.T) { replace(t, path(cfgfile.ConfigFile)) },
	} {
		t.Run(name, func(t *testing.T) {
			last := newWritten(w.have)
			must(t, d.writeRunning(last, nil))
			awaitTick(t, d)
			harm(t)
			for range 3 {
				w.step()
				next := newWritten(w.have)
				must(t, d.writeRunning(next, last))
				w.compare(t, d)
				last = next
			}
		})
	}
}

// awaitTick returns when the clock of the file system, which is coarse, has advanced
// since the last write.
func awaitTick(t *testing.T, d Dir) {
	t.Helper()
	for last := d.fileID(cfgfile.ConfigFile).changed; ; {
		must(t, os.WriteFile(filepath.Join(string(d), "tick"), nil, 0o600))
		if d.fileID("tick").changed != last {
			return
		}
	}
}

func replace(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, errors.Join(os.WriteFile(path+".other", bytes.ToUpper(text), 0o600), os.Rename(path+".other", path)))
}

func TestOtherChangesNeedACompleteWrite(t *testing.T) {
	w := newWalk(4, 6)
	last := newWritten(w.have)
	for name, change := range map[string]func(*haproxy.Running){
		"a map": func(r *haproxy.Running) {
			r.Maps = r.Loaded.Maps()
			r.Maps[slices.Index(haproxy.MapNames(), haproxy.RoutesMap)].Entries = []haproxy.MapEntry{{Key: "a", Value: "b"}}
		},
		"a setting": func(r *haproxy.Running) { r.Loaded.Settings.TimeoutClient = time.Hour },
		"a backend": func(r *haproxy.Running) {
			r.Loaded = r.Loaded.WithBackends([]*haproxy.Backend{{Name: "new", Policy: r.Loaded.Backends.At(0).Policy}}, nil)
		},
		"as many backends": func(r *haproxy.Running) { r.Loaded = r.Loaded.Structure() },
	} {
		have := w.have
		change(&have)
		if newWritten(have).follows(last) {
			t.Errorf("%s changed, and the write still follows the last", name)
		}
	}
}
