// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// newStatefulBox returns a box with a backend of the operator, whose servers keep their
// state.
func newStatefulBox(t *testing.T) box {
	t.Helper()
	b := newBox(t)
	const theirs = `defaults operators
  mode http
  load-server-state-from-file global
  timeout connect 1s
  timeout client 1s
  timeout server 1s
backend theirs from operators
  server web 127.0.0.1:9
  server 127.0.0.1:9 127.0.0.1:9
`
	must(t, b.Write(map[string][]byte{"a.cfg": []byte(theirs)}))
	return b
}

// loadStateful is load with the content of the server-state-file.
func (b box) loadStateful(t *testing.T, s haproxy.State, file []byte) {
	t.Helper()
	generation := b.write(t, s)
	must(t, b.Write(map[string][]byte{cfgfile.ServerStateFile: file}))
	_, err := b.Reload(t.Context(), generation)
	must(t, err)
}

// states returns "up" or "down" and the administrative state of the servers of a
// backend.
func (b box) states(t *testing.T, backend string) map[string]string {
	t.Helper()
	states := map[string]string{}
	for line := range strings.Lines(b.command(t, "show servers state "+backend)) {
		row := strings.Fields(line)
		if len(row) < 20 || row[0] == "#" {
			continue
		}
		state := map[string]string{"0": "down", "2": "up"}[row[5]]
		switch row[6] {
		case "0":
		case "8":
			state += " drain"
		default:
			state += " admin " + row[6]
		}
		states[row[3]] = state
	}
	return states
}

func TestServersKeepTheirStateAcrossAReload(t *testing.T) {
	live, _ := newPod(t)
	draining, _ := newPod(t)
	added, _ := newPod(t)
	leaving, _ := newPod(t)
	undrained, _ := newPod(t)
	b := newStatefulBox(t)
	dead := haproxy.Server{Addr: b.freeAddr(t), State: haproxy.Ready}
	checked := func(servers ...haproxy.Server) *haproxy.Backend {
		slices.SortFunc(servers, func(a, b haproxy.Server) int { return a.Addr.Compare(b.Addr) })
		return &haproxy.Backend{
			Name:    "shop",
			Policy:  haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.RoundRobin},
			Options: haproxy.Options{Protocol: haproxy.Plain, Check: true, CheckInterval: 100 * time.Millisecond},
			Servers: servers,
		}
	}
	s := b.shop(t, nil)
	s.Backends = haproxy.ListOf(checked(live, leaving))
	b.loadStateful(t, s, cfgfile.EmptyServerState())
	// Some servers are declared in the file, some are added by the runtime API.
	b.apply(t, haproxy.Plan{
		Add: changes(haproxy.AddServer, s.Backends.At(0), dead, draining, undrained),
		Leave: append(changes(haproxy.SetServer, s.Backends.At(0), withState(haproxy.Drain, draining, undrained)...),
			changes(haproxy.SetServer, s.Backends.At(0), withState(haproxy.Maint, leaving)...)...),
	})
	b.command(t, "set server theirs/web state drain")
	b.command(t, "set server theirs/127.0.0.1:9 state maint")
	eventually(t, "the dead server is down", func() bool { return b.states(t, "shop")[dead.Name()] == "down" })

	want := s
	want.Backends = haproxy.ListOf(checked(live, dead, added, leaving, undrained, withState(haproxy.Drain, draining)[0]))
	file, err := b.StateFile(t.Context(), want, nil)
	must(t, err)
	want.Backends.At(0).Options.CheckInterval = time.Hour // so that no check of the new worker changes the states
	b.loadStateful(t, want, file)
	compare(t, "servers after the reload", map[string]string{
		live.Name(): "up", dead.Name(): "down", added.Name(): "up", leaving.Name(): "up", undrained.Name(): "up", draining.Name(): "up drain",
	}, b.states(t, "shop"))
	compare(t, "the operator's servers after the reload", map[string]string{"web": "up drain", "127.0.0.1:9": "down admin 1"}, b.states(t, "theirs"))
	answered := map[string]bool{}
	for range 20 {
		r := mustGet(t, s.Frontends[0].Binds[0], "/")
		if r.Status != 200 {
			t.Errorf("%d %s", r.Status, r.Body)
		}
		answered[r.Body] = true
	}
	wantAnswers := map[string]bool{}
	for _, pod := range []haproxy.Server{live, added, leaving, undrained} {
		wantAnswers[pod.Addr.String()] = true
	}
	compare(t, "pods that answered", wantAnswers, answered)

	b.loadStateful(t, want, cfgfile.EmptyServerState())
	if got := b.states(t, "shop")[draining.Name()]; got != "up" {
		t.Errorf("after a reload with an empty state file the server is %q, want up", got)
	}
}

func TestHealthDoesNotOutliveItsChecks(t *testing.T) {
	for name, row := range map[string]struct {
		before, after bool // whether servers are checked
		want          string
	}{
		"checks end":   {true, false, "up"},
		"checks begin": {false, true, "down"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newStatefulBox(t)
			dead := haproxy.Server{Addr: b.freeAddr(t), State: haproxy.Ready}
			s := b.shop(t, nil, dead)
			o := &s.Backends.At(0).Options
			o.Check, o.CheckInterval = row.before, 100*time.Millisecond
			b.loadStateful(t, s, cfgfile.EmptyServerState())
			if row.before {
				eventually(t, "the dead server is down", func() bool { return b.states(t, "shop")[dead.Name()] == "down" })
			}
			o.Check = row.after
			file, err := b.StateFile(t.Context(), s, nil)
			must(t, err)
			b.loadStateful(t, s, file)
			eventually(t, "the dead server is "+row.want, func() bool { return b.states(t, "shop")[dead.Name()] == row.want })
		})
	}
}
