// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/config"
)

func TestJournaldGetsTheLevel(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	info, err := w.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	write := func(format config.LogFormat) {
		log := newLogger(w, format, slog.LevelDebug).With("backend", "b").WithGroup("g")
		log.Debug("one")
		log.Info("two")
		log.Warn("three")
		log.Error("four", "err", "x\ny")
	}
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino))
	write(config.LogText)
	write(config.LogJSON)
	t.Setenv("JOURNAL_STREAM", "1:1") // another stream
	newLogger(w, config.LogText, slog.LevelInfo).Info("five")
	w.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(text)), "\n")
	want := []string{
		`<7>level=DEBUG msg=one backend=b`, `<6>level=INFO msg=two backend=b`, `<4>level=WARN msg=three backend=b`, `<3>level=ERROR msg=four backend=b g.err="x\ny"`,
		`<7>{"level":"DEBUG","msg":"one","backend":"b"}`, `<6>{"level":"INFO","msg":"two","backend":"b"}`, `<4>{"level":"WARN","msg":"three","backend":"b"}`, `<3>{"level":"ERROR","msg":"four","backend":"b","g":{"err":"x\ny"}}`,
	}
	if len(got) != len(want)+1 {
		t.Fatalf("got %q", got)
	}
	for i, line := range want {
		if got[i] != line {
			t.Errorf("got %s, want %s", got[i], line)
		}
	}
	if last := got[len(want)]; !strings.HasPrefix(last, "time=") || !strings.HasSuffix(last, "level=INFO msg=five") {
		t.Errorf("to another stream: %s", last)
	}
}

func TestTerminalShowsProgressBelowTheLog(t *testing.T) {
	var out strings.Builder
	term := &terminal{out: &out, width: func() int { return 20 }}
	write := func(text string) {
		if n, err := term.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	}
	write("one\n")
	term.show("podgate reads the whole cluster")
	term.show("podgate reads the whole cluster")
	write("two\n")
	term.show("")
	write("three\n")
	want := "one\n" + eraseLine + "podgate reads the w" + eraseLine + "two\npodgate reads the w" + eraseLine + "three\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	s := admin.New(config.Admin{}, slog.New(slog.DiscardHandler))
	inSync := new(admin.View)
	inSync.Edge.InSync = true
	s.Publish(inSync)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	term.follow(ctx, s)
	if ctx.Err() != nil {
		t.Error("follow continues although HAProxy is in sync")
	}
}
