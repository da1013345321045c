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

	"podgate/kubeapi/kubeapitest"
)

// fault is one kind of harm. After do, the harm is over and what it left behind
// is to be put right by podgate.
type fault struct {
	name     string
	do       func(context.Context) error
	survived int
	skipped  int
	served   time.Duration // the longest until all was served again
	slowest  recovery
}

func find(faults []*fault, name string) (*fault, bool) {
	for _, f := range faults {
		if f.name == name {
			return f, true
		}
	}
	return nil, false
}

// moment is a while at random, short enough for the load to notice each.
func (t *town) moment(ctx context.Context) { pause(ctx, time.Duration(t.IntN(1500))*time.Millisecond) }

// while has the cluster change during something.
func (t *town) while(ctx context.Context, begin, end func()) error {
	begin()
	defer end()
	for range 1 + t.IntN(3) {
		t.moment(ctx)
		if err := t.churn(); err != nil {
			return err
		}
	}
	return nil
}

func (t *town) faults() []*fault {
	return append(append(t.processFaults(), t.apiFaults()...), append(t.socketFaults(), t.fileFaults()...)...)
}

func (t *town) processFaults() []*fault {
	return []*fault{
		{name: "podgate killed", do: func(ctx context.Context) error {
			t.moment(ctx)
			t.killPodgate()
			t.moment(ctx)
			return t.startPodgate()
		}},
		{name: "podgate killed again and again", do: func(ctx context.Context) error {
			for range 5 {
				t.killPodgate()
				if err := errors.Join(t.churn(), t.startPodgate()); err != nil {
					return err
				}
				pause(ctx, time.Duration(t.IntN(300))*time.Millisecond)
			}
			return nil
		}},
		{name: "podgate ended by SIGTERM", do: func(ctx context.Context) error {
			t.moment(ctx)
			_ = t.podgate.Process.Signal(syscall.SIGTERM)
			if err := t.podgate.Wait(); err != nil {
				return err
			}
			return errors.Join(t.churn(), t.startPodgate())
		}},
		{name: "podgate stopped for a while", do: func(ctx context.Context) error {
			return t.while(ctx, func() { _ = t.podgate.Process.Signal(syscall.SIGSTOP) }, func() { _ = t.podgate.Process.Signal(syscall.SIGCONT) })
		}},
		{name: "podgate's clock jumps", do: func(ctx context.Context) error {
			if t.clock == "" {
				return errNotHere
			}
			for range 1 + t.IntN(3) {
				if err := errors.Join(t.churn(), t.setClock(t.jumps()), t.churn()); err != nil {
					return err
				}
				t.moment(ctx)
			}
			return nil
		}},
		{name: "podgate's clock jumps while it is away", do: func(ctx context.Context) error {
			if t.clock == "" {
				return errNotHere
			}
			t.killPodgate()
			return errors.Join(t.churn(), t.setClock(t.jumps()), t.startPodgate())
		}},
		{name: "podgate's clock jumps while the API server answers with nothing", do: func(ctx context.Context) error {
			if t.clock == "" {
				return errNotHere
			}
			t.api.Misbehave(kubeapitest.Hide("services", "endpointslices"))
			defer t.recall()
			t.api.ExpireVersions()
			pause(ctx, time.Duration(t.IntN(400))*time.Millisecond)
			err := t.setClock(t.jumps())
			pause(ctx, time.Duration(t.IntN(400))*time.Millisecond) // well below safety.hold_time
			return err
		}},
		{name: "HAProxy's worker stopped for a while", do: func(ctx context.Context) error {
			pid := t.haproxy.Pid()
			if pid == 0 { // that would be our own group
				return errors.New("HAProxy does not answer")
			}
			return t.while(ctx, func() { _ = syscall.Kill(pid, syscall.SIGSTOP) }, func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
		}},
		{name: "HAProxy's worker killed", do: func(ctx context.Context) error {
			t.moment(ctx)
			return t.restartHAProxy(ctx, func() error {
				if pid := t.haproxy.Pid(); pid != 0 { // zero would be our own group
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
				pause(ctx, time.Second)
				// In the middle of a reload that may have been a worker without
				// which the master goes on.
				return t.haproxy.KillMaster()
			})
		}},
		{name: "HAProxy's master killed", do: func(ctx context.Context) error {
			t.moment(ctx)
			return t.restartHAProxy(ctx, t.haproxy.KillMaster)
		}},
		{name: "HAProxy killed and podgate with it", do: func(ctx context.Context) error {
			t.killPodgate()
			if err := t.restartHAProxy(ctx, t.haproxy.KillMaster); err != nil {
				return err
			}
			return errors.Join(t.churn(), t.startPodgate())
		}},
	}
}

func (t *town) apiFaults() []*fault {
	misbehave := func(name string, how ...kubeapitest.Misbehaviour) *fault {
		return &fault{name: "API server " + name, do: func(ctx context.Context) error {
			return t.while(ctx, func() {
				t.api.Misbehave(how...)
				if t.IntN(2) == 0 {
					t.api.CutWatches()
				}
			}, t.recall)
		}}
	}
	return []*fault{
		{name: "API server gone", do: func(ctx context.Context) error {
			t.api.Stop()
			err := errors.Join(t.churn(), func() error { t.moment(ctx); return nil }(), t.churn())
			return errors.Join(err, t.api.Start(""))
		}},
		{name: "API server gone while podgate starts", do: func(ctx context.Context) error {
			t.api.Stop()
			t.killPodgate()
			err := errors.Join(t.startPodgate(), t.churn())
			t.moment(ctx)
			return errors.Join(err, t.api.Start(""))
		}},
		misbehave("slow", kubeapitest.Slow(700*time.Millisecond)),
		misbehave("overloaded", kubeapitest.TooManyRequests(5, time.Second)),
		misbehave("in error", kubeapitest.FailLists(500, 4), kubeapitest.FailWatches(503, 4)),
		misbehave("hangs", kubeapitest.HangLists(), kubeapitest.HangWatches()),
		misbehave("says nothing in watches", kubeapitest.MuteWatches()),
		misbehave("says everything twice", kubeapitest.Repeat()),
		misbehave("says again what was before", kubeapitest.Echo()),
		misbehave("tells changes late", kubeapitest.Late(700*time.Millisecond)),
		misbehave("tells changes in another order", kubeapitest.Late(300*time.Millisecond), kubeapitest.Shuffle(t.Uint64())),
		misbehave("tells changes late, twice, in another order and with what was before",
			kubeapitest.Late(300*time.Millisecond), kubeapitest.Repeat(), kubeapitest.Echo(), kubeapitest.Shuffle(t.Uint64())),
		misbehave("pages", kubeapitest.PageSize(1)),
		misbehave("cuts streamed lists", kubeapitest.CutStreamedLists(3)),
		misbehave("answers with nothing", kubeapitest.Hide("services", "endpointslices")),
		misbehave("answers without endpoints", kubeapitest.Hide("endpointslices")),
		{name: "API server answers from the past", do: func(ctx context.Context) error {
			return t.while(ctx, func() { t.api.Stale(); t.api.ExpireVersions() }, t.recall)
		}},
		{name: "API server restored from a backup", do: func(ctx context.Context) error {
			t.api.RestoreVersion(1 + t.IntN(100))
			t.moment(ctx)
			t.api.EndWatches()
			return nil
		}},
		{name: "watches with garbage, cut and too old", do: func(ctx context.Context) error {
			for range 6 {
				[]func(){
					t.api.CutWatches, t.api.EndWatches, t.api.ExpireVersions, t.api.Bookmark,
					func() { t.api.SendGarbage(`{"type":"MODIFIED","object":{"kind":"Service","spec":7}}`) },
					func() { t.api.SendGarbage("\x00\x00\x00\x05hello") },
					func() { t.api.KeepHistory(1 + t.IntN(3)) },
				}[t.IntN(7)]()
				if err := t.churn(); err != nil {
					return err
				}
				pause(ctx, time.Duration(t.IntN(200))*time.Millisecond)
			}
			t.api.KeepHistory(10_000)
			return nil
		}},
		{name: "answers of the API server cut short", do: func(ctx context.Context) error {
			return t.while(ctx, func() { t.front.set(mode{after: 1 + t.IntN(4000)}); t.api.EndWatches() }, func() { t.front.set(mode{}) })
		}},
		{name: "API server behind a slow line", do: func(ctx context.Context) error {
			return t.while(ctx, func() { t.front.set(mode{pace: 5 * time.Millisecond}); t.api.EndWatches() }, func() { t.front.set(mode{}) })
		}},
		{name: "connections to the API server cut", do: func(ctx context.Context) error {
			return t.while(ctx, t.front.cut, t.front.cut)
		}},
	}
}

// recall ends what is wrong with the API server, and has it tell what it did not.
func (t *town) recall() {
	t.api.Behave()
	t.api.ExpireVersions()
}

func (t *town) socketFaults() []*fault {
	var all []*fault
	for name, p := range map[string]*proxy{"admin socket": t.admin, "master socket": t.master} {
		for how, m := range map[string]mode{
			" hangs": {swallow: true}, " answers half": {after: 60}, " closes": {refuse: true}, " is slow": {pace: 20 * time.Millisecond},
		} {
			all = append(all, &fault{name: name + how, do: func(ctx context.Context) error {
				m := m
				if m.after > 0 {
					m.after = 1 + t.IntN(2000)
				}
				return t.while(ctx, func() { p.set(m) }, func() { p.set(mode{}) })
			}})
		}
	}
	return sorted(append(all, &fault{name: "both sockets close", do: func(ctx context.Context) error {
		return t.while(ctx, func() { t.admin.set(mode{refuse: true}); t.master.set(mode{refuse: true}) },
			func() { t.admin.set(mode{}); t.master.set(mode{}) })
	}}))
}

// sorted makes one seed do the same harm again: maps have no order.
func sorted(faults []*fault) []*fault {
	slices.SortFunc(faults, func(a, b *fault) int { return strings.Compare(a.name, b.name) })
	return faults
}

func (t *town) fileFaults() []*fault {
	onDisk := func(begin, end func() error) func(context.Context) error {
		return func(ctx context.Context) error {
			if !t.disk {
				return errNotHere
			}
			if err := begin(); err != nil {
				return err
			}
			var err error
			for range 3 {
				t.moment(ctx)
				err = errors.Join(err, t.churn())
			}
			if t.IntN(3) == 0 {
				t.killPodgate()
				err = errors.Join(err, t.startPodgate())
				t.moment(ctx)
			}
			return errors.Join(err, end())
		}
	}
	folder := t.haproxy.Folder
	return []*fault{
		{name: "disk full", do: onDisk(func() error { return fillDisk(folder) }, func() error { return os.Remove(ballast(folder)) })},
		{name: "disk read-only", do: onDisk(func() error { return readOnly(folder, true) }, func() error { return readOnly(folder, false) })},
		{name: "files harmed while podgate is away", do: func(ctx context.Context) error {
			t.killPodgate()
			return errors.Join(t.harmFiles(), t.churn(), t.startPodgate())
		}},
		{name: "files harmed while podgate runs, then killed", do: func(ctx context.Context) error {
			if err := t.harmFiles(); err != nil {
				return err
			}
			t.moment(ctx)
			t.killPodgate()
			return t.startPodgate()
		}},
		{name: "podgate.toml swapped while it is read", do: func(ctx context.Context) error {
			for range 60 {
				half := t.text[:t.IntN(len(t.text))]
				if err := os.WriteFile(t.toml, half, 0o600); err != nil {
					return err
				}
				pause(ctx, time.Duration(t.IntN(20))*time.Millisecond)
				if err := errors.Join(os.WriteFile(t.toml+".new", t.text, 0o600), os.Rename(t.toml+".new", t.toml)); err != nil {
					return err
				}
				if t.IntN(20) == 0 {
					_ = t.podgate.Process.Signal(syscall.SIGHUP)
				}
			}
			return nil
		}},
	}
}

// harmFiles corrupts, cuts or removes some of what podgate keeps for itself.
// HAProxy's own files are cut and changed too, and left to podgate to put right;
// HAProxy is not restarted meanwhile.
func (t *town) harmFiles() error {
	names, err := filepath.Glob(filepath.Join(t.haproxy.Folder, "*"))
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
		switch t.IntN(5) {
		case 0:
			err = os.Remove(name)
		case 1:
			err = os.WriteFile(name, text[:t.IntN(len(text)+1)], 0o640)
		case 2:
			for range 8 {
				if len(text) > 0 {
					text[t.IntN(len(text))] = byte(t.IntN(256))
				}
			}
			err = os.WriteFile(name, text, 0o640)
		}
		if err != nil {
			return err
		}
		t.bad++
	}
	return nil
}
