// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"podgate/daemon/edgetest"
	"podgate/kubeapi/kubeapitest"
)

// fault is one kind of damage. When do returns, the damage ends, and podgate has to repair
// the consequences.
type fault struct {
	name     string
	do       func(context.Context) error
	survived int
	skipped  int
	served   time.Duration // the longest until every Service was served again
	slowest  recovery
}

// moment waits up to 1.5 s.
func (e *edge) moment(ctx context.Context) {
	edgetest.Pause(ctx, time.Duration(e.IntN(1500))*time.Millisecond)
}

// while changes the cluster between begin and end.
func (e *edge) while(ctx context.Context, begin, end func()) error {
	begin()
	defer end()
	for range 1 + e.IntN(3) {
		e.moment(ctx)
		if err := e.churn(); err != nil {
			return err
		}
	}
	return nil
}

func (e *edge) faults() []*fault {
	return append(append(e.processFaults(), e.apiFaults()...), append(append(e.socketFaults(), e.fileFaults()...), e.companyFaults()...)...)
}

func (e *edge) processFaults() []*fault {
	return []*fault{
		{name: "podgate killed", do: func(ctx context.Context) error {
			e.moment(ctx)
			e.podgate.Kill()
			e.moment(ctx)
			return e.startPodgate()
		}},
		{name: "podgate killed again and again", do: func(ctx context.Context) error {
			for range 5 {
				e.podgate.Kill()
				if err := errors.Join(e.churn(), e.startPodgate()); err != nil {
					return err
				}
				edgetest.Pause(ctx, time.Duration(e.IntN(300))*time.Millisecond)
			}
			return nil
		}},
		{name: "podgate stopped by SIGTERM", do: func(ctx context.Context) error {
			e.moment(ctx)
			_ = e.podgate.Process.Signal(syscall.SIGTERM)
			if err := e.podgate.Wait(); err != nil {
				return err
			}
			return errors.Join(e.churn(), e.startPodgate())
		}},
		{name: "podgate frozen for a while", do: func(ctx context.Context) error {
			return e.while(ctx, func() { _ = e.podgate.Process.Signal(syscall.SIGSTOP) }, func() { _ = e.podgate.Process.Signal(syscall.SIGCONT) })
		}},
		{name: "podgate's clock jumps", do: func(ctx context.Context) error {
			if e.clock == "" {
				return errNotHere
			}
			for range 1 + e.IntN(3) {
				if err := errors.Join(e.churn(), e.setClock(e.jumps()), e.churn()); err != nil {
					return err
				}
				e.moment(ctx)
			}
			return nil
		}},
		{name: "podgate's clock jumps while podgate is down", do: func(ctx context.Context) error {
			if e.clock == "" {
				return errNotHere
			}
			e.podgate.Kill()
			return errors.Join(e.churn(), e.setClock(e.jumps()), e.startPodgate())
		}},
		{name: "podgate's clock jumps while the API server answers with empty lists", do: func(ctx context.Context) error {
			if e.clock == "" {
				return errNotHere
			}
			e.Cluster.Misbehave(kubeapitest.Hide("services", "endpointslices"))
			defer e.behave()
			e.Cluster.ExpireVersions()
			edgetest.Pause(ctx, time.Duration(e.IntN(400))*time.Millisecond)
			err := e.setClock(e.jumps())
			edgetest.Pause(ctx, time.Duration(e.IntN(400))*time.Millisecond) // well below safety.hold_time
			return err
		}},
		{name: "HAProxy's worker frozen for a while", do: func(ctx context.Context) error {
			pid := e.HAProxy.Pid()
			if pid == 0 { // zero is this process group
				return errors.New("HAProxy does not answer")
			}
			return e.while(ctx, func() { _ = syscall.Kill(pid, syscall.SIGSTOP) }, func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
		}},
		{name: "HAProxy's worker killed", do: func(ctx context.Context) error {
			e.moment(ctx)
			return e.restartHAProxy(ctx, func() error {
				if pid := e.HAProxy.Pid(); pid != 0 { // zero is this process group
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
				edgetest.Pause(ctx, time.Second)
				// During a reload the master may survive the end of that worker.
				return e.HAProxy.KillMaster()
			})
		}},
		{name: "HAProxy's master killed", do: func(ctx context.Context) error {
			e.moment(ctx)
			return e.restartHAProxy(ctx, e.HAProxy.KillMaster)
		}},
		{name: "HAProxy reloaded by another program", do: func(ctx context.Context) error {
			for range 1 + e.IntN(3) {
				e.moment(ctx)
				if err := errors.Join(e.churn(), e.HAProxy.SignalReload()); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "HAProxy and podgate killed", do: func(ctx context.Context) error {
			e.podgate.Kill()
			if err := e.restartHAProxy(ctx, e.HAProxy.KillMaster); err != nil {
				return err
			}
			return errors.Join(e.churn(), e.startPodgate())
		}},
	}
}

func (e *edge) apiFaults() []*fault {
	misbehave := func(name string, how ...kubeapitest.Misbehaviour) *fault {
		return &fault{name: "API server " + name, do: func(ctx context.Context) error {
			return e.while(ctx, func() {
				e.Cluster.Misbehave(how...)
				if e.IntN(2) == 0 {
					e.Cluster.CutWatches()
				}
			}, e.behave)
		}}
	}
	return []*fault{
		{name: "API server down", do: func(ctx context.Context) error {
			e.Cluster.Stop()
			err := errors.Join(e.churn(), func() error { e.moment(ctx); return nil }(), e.churn())
			return errors.Join(err, e.Cluster.Start(""))
		}},
		{name: "API server down while podgate starts", do: func(ctx context.Context) error {
			e.Cluster.Stop()
			e.podgate.Kill()
			err := errors.Join(e.startPodgate(), e.churn())
			e.moment(ctx)
			return errors.Join(err, e.Cluster.Start(""))
		}},
		misbehave("slow", kubeapitest.Slow(700*time.Millisecond)),
		misbehave("throttles", kubeapitest.TooManyRequests(5, time.Second)),
		misbehave("answers with errors", kubeapitest.FailLists(500, 4), kubeapitest.FailWatches(503, 4)),
		misbehave("hangs", kubeapitest.HangLists(), kubeapitest.HangWatches()),
		misbehave("sends nothing in watches", kubeapitest.MuteWatches()),
		misbehave("sends events twice", kubeapitest.Repeat()),
		misbehave("repeats old events", kubeapitest.Echo()),
		misbehave("sends events late", kubeapitest.Late(700*time.Millisecond)),
		misbehave("sends events in another order", kubeapitest.Late(300*time.Millisecond), kubeapitest.Shuffle(e.Uint64())),
		misbehave("sends events late, twice, in another order and with old ones",
			kubeapitest.Late(300*time.Millisecond), kubeapitest.Repeat(), kubeapitest.Echo(), kubeapitest.Shuffle(e.Uint64())),
		misbehave("lists in pages of one object", kubeapitest.PageSize(1)),
		misbehave("cuts streamed lists", kubeapitest.CutStreamedLists(3)),
		misbehave("answers with empty lists", kubeapitest.Hide("services", "endpointslices")),
		misbehave("answers without EndpointSlices", kubeapitest.Hide("endpointslices")),
		{name: "API server answers from an old cache", do: func(ctx context.Context) error {
			return e.while(ctx, func() { e.Cluster.Stale(); e.Cluster.ExpireVersions() }, e.behave)
		}},
		{name: "API server restored from a backup", do: func(ctx context.Context) error {
			e.Cluster.RestoreVersion(1 + e.IntN(100))
			e.moment(ctx)
			e.Cluster.EndWatches()
			return nil
		}},
		{name: "watches with garbage, cut and expired", do: func(ctx context.Context) error {
			for range 6 {
				[]func(){
					e.Cluster.CutWatches, e.Cluster.EndWatches, e.Cluster.ExpireVersions, e.Cluster.Bookmark,
					func() { e.Cluster.SendGarbage(`{"type":"MODIFIED","object":{"kind":"Service","spec":7}}`) },
					func() { e.Cluster.SendGarbage("\x00\x00\x00\x05hello") },
					func() { e.Cluster.KeepHistory(1 + e.IntN(3)) },
				}[e.IntN(7)]()
				if err := e.churn(); err != nil {
					return err
				}
				edgetest.Pause(ctx, time.Duration(e.IntN(200))*time.Millisecond)
			}
			e.Cluster.KeepHistory(10_000)
			return nil
		}},
		{name: "API server's answers cut short", do: func(ctx context.Context) error {
			return e.while(ctx, func() { e.api.Set(edgetest.Mode{After: 1 + e.IntN(4000)}); e.Cluster.EndWatches() }, func() { e.api.Set(edgetest.Mode{}) })
		}},
		{name: "API server behind a slow line", do: func(ctx context.Context) error {
			return e.while(ctx, func() { e.api.Set(edgetest.Mode{Pace: 5 * time.Millisecond}); e.Cluster.EndWatches() }, func() { e.api.Set(edgetest.Mode{}) })
		}},
		{name: "connections to the API server cut", do: func(ctx context.Context) error {
			return e.while(ctx, e.api.Cut, e.api.Cut)
		}},
	}
}

// behave ends the misbehaviour of the API server, and makes podgate list again.
func (e *edge) behave() {
	e.Cluster.Behave()
	e.Cluster.ExpireVersions()
}

func (e *edge) socketFaults() []*fault {
	var all []*fault
	for name, p := range map[string]*edgetest.Proxy{"admin socket": e.admin, "master socket": e.master} {
		for how, m := range map[string]edgetest.Mode{
			" hangs": {Swallow: true}, " answers half": {After: 60}, " closes": {Refuse: true}, " is slow": {Pace: 20 * time.Millisecond},
		} {
			all = append(all, &fault{name: name + how, do: func(ctx context.Context) error {
				m := m
				if m.After > 0 {
					m.After = 1 + e.IntN(2000)
				}
				return e.while(ctx, func() { p.Set(m) }, func() { p.Set(edgetest.Mode{}) })
			}})
		}
	}
	return sorted(append(all, &fault{name: "both sockets close", do: func(ctx context.Context) error {
		return e.while(ctx, func() { e.admin.Set(edgetest.Mode{Refuse: true}); e.master.Set(edgetest.Mode{Refuse: true}) },
			func() { e.admin.Set(edgetest.Mode{}); e.master.Set(edgetest.Mode{}) })
	}}))
}

// sorted gives the faults the same order for every run: maps have none.
func sorted(faults []*fault) []*fault {
	slices.SortFunc(faults, func(a, b *fault) int { return strings.Compare(a.name, b.name) })
	return faults
}

func (e *edge) fileFaults() []*fault {
	onDisk := func(begin, end func() error) func(context.Context) error {
		return func(ctx context.Context) error {
			if !e.disk {
				return errNotHere
			}
			if err := begin(); err != nil {
				return err
			}
			var err error
			for range 3 {
				e.moment(ctx)
				err = errors.Join(err, e.churn())
			}
			if e.IntN(3) == 0 {
				e.podgate.Kill()
				err = errors.Join(err, e.startPodgate())
				e.moment(ctx)
			}
			return errors.Join(err, end())
		}
	}
	folder := e.HAProxy.Folder
	return []*fault{
		{name: "disk full", do: onDisk(func() error { return fillDisk(folder) }, func() error { return os.Remove(ballast(folder)) })},
		{name: "disk read-only", do: onDisk(func() error { return readOnly(folder, true) }, func() error { return readOnly(folder, false) })},
		{name: "files damaged while podgate is down", do: func(ctx context.Context) error {
			e.podgate.Kill()
			return errors.Join(e.harmFiles(), e.churn(), e.startPodgate())
		}},
		{name: "files damaged, then podgate killed", do: func(ctx context.Context) error {
			if err := e.harmFiles(); err != nil {
				return err
			}
			e.moment(ctx)
			e.podgate.Kill()
			return e.startPodgate()
		}},
		{name: "podgate.toml replaced while it is read", do: func(ctx context.Context) error {
			for range 60 {
				half := e.config[:e.IntN(len(e.config))]
				if err := os.WriteFile(e.TOML, half, 0o600); err != nil {
					return err
				}
				edgetest.Pause(ctx, time.Duration(e.IntN(20))*time.Millisecond)
				if err := errors.Join(os.WriteFile(e.TOML+".new", e.config, 0o600), os.Rename(e.TOML+".new", e.TOML)); err != nil {
					return err
				}
				if e.IntN(20) == 0 {
					_ = e.podgate.Process.Signal(syscall.SIGHUP)
				}
			}
			return nil
		}},
	}
}

// harmFiles corrupts, cuts or removes some files of the folder: podgate's state and
// the files that HAProxy loads. HAProxy is not restarted meanwhile.
func (e *edge) harmFiles() error {
	names, err := filepath.Glob(filepath.Join(e.HAProxy.Folder, "*"))
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		switch e.IntN(5) {
		case 0:
			err = os.Remove(name)
		case 1:
			err = os.WriteFile(name, text[:e.IntN(len(text)+1)], 0o640)
		case 2:
			for range 8 {
				if len(text) > 0 {
					text[e.IntN(len(text))] = byte(e.IntN(256))
				}
			}
			err = os.WriteFile(name, text, 0o640)
		}
		if err != nil {
			return err
		}
		e.bad++
	}
	return nil
}
