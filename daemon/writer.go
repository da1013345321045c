// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// writer has the folder follow what runs, in a goroutine of its own: a disk may
// take long to say that it has something, and pods come and go meanwhile.
type writer struct {
	folder folder
	done   chan error // of the write under way, a value and no more; nil while there is none
	err    error      // of the last write that ended
	writes int        // begun so far
	wrote  int        // of these, the last that ended well

	reloaded bool // HAProxy was, since the last write began
}

// busy reports whether a write is under way.
func (w *writer) busy() bool {
	if w.done == nil {
		return false
	}
	select {
	case err := <-w.done:
		w.end(err)
	default:
	}
	return w.done != nil
}

// wait returns when no write is under way: nobody else may write till then.
func (w *writer) wait() {
	if w.done != nil {
		w.end(<-w.done)
	}
}

func (w *writer) end(err error) {
	w.done, w.err = nil, err
	if err == nil {
		w.wrote = w.writes
	}
}

// start begins to write what runs. No write may be under way.
func (w *writer) start(have haproxy.Running) {
	have.Servers = maps.Clone(have.Servers) // the rest of it is never changed
	done := make(chan error, 1)
	w.done = done
	w.writes++
	reloaded := w.reloaded
	w.reloaded = false
	go func() {
		err := w.folder.writeRunning(have)
		if reloaded {
			debug.FreeOSMemory() // what a reload took, several times what is in use
		}
		done <- err
	}()
}

// writeRunning writes the loaded configuration with its present servers and
// maps.
func (f folder) writeRunning(have haproxy.Running) error {
	running := withServers(have)
	running.Certificates = f.present(have.Certificates)
	files, err := cfgfile.Render(running, string(f))
	if err != nil {
		return err
	}
	if files.Maps, err = cfgfile.RenderMaps(have.Maps); err != nil {
		return err
	}
	if err := f.write(files, have.Loaded); err != nil {
		return fmt.Errorf("write what runs: %w", err)
	}
	return nil
}

// withServers is what was loaded with the servers that are in service now.
func withServers(have haproxy.Running) haproxy.State {
	s := have.Loaded.Structure()
	for i := range s.Backends {
		b := s.Backends[i]
		b.Servers = have.Servers[b.Name]
		if slices.ContainsFunc(b.Servers, isMaint) {
			b.Servers = slices.DeleteFunc(slices.Clone(b.Servers), isMaint)
		}
	}
	return s
}

func isMaint(s haproxy.Server) bool { return s.State == haproxy.Maint }
