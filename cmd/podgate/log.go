// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"

	"podgate/daemon/config"
)

// newLogger returns a logger in the format of podgate.toml. journald adds the time
// itself, and reads the level from a number before the line, so that "journalctl -p
// warning" works (sd-daemon(3)).
func newLogger(w io.Writer, format config.LogFormat, level slog.Leveler) *slog.Logger {
	if !isJournal(w) {
		return slog.New(newHandler(w, format, &slog.HandlerOptions{Level: level}))
	}
	timeless := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	var h journalHandler
	for i, number := range journalNumbers() {
		h[i] = newHandler(prefixWriter{w, fmt.Sprintf("<%d>", number)}, format, &slog.HandlerOptions{Level: level, ReplaceAttr: timeless})
	}
	return slog.New(h)
}

func newHandler(w io.Writer, format config.LogFormat, options *slog.HandlerOptions) slog.Handler {
	if format == config.LogJSON {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// isJournal reports whether w is the stream to journald that systemd opened
// (systemd.exec(5) "$JOURNAL_STREAM"). The variable alone does not suffice: a child
// process may inherit it and write elsewhere.
func isJournal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// journalNumbers are the priorities of slog's four levels (syslog(3)).
func journalNumbers() [4]int { return [4]int{7, 6, 4, 3} }

// journalHandler has a Handler for each level.
type journalHandler [4]slog.Handler

func (h journalHandler) forLevel(l slog.Level) slog.Handler {
	switch {
	case l < slog.LevelInfo:
		return h[0]
	case l < slog.LevelWarn:
		return h[1]
	case l < slog.LevelError:
		return h[2]
	}
	return h[3]
}

func (h journalHandler) Enabled(ctx context.Context, l slog.Level) bool { return h[0].Enabled(ctx, l) }

func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.forLevel(r.Level).Handle(ctx, r)
}

func (h journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for i := range h {
		h[i] = h[i].WithAttrs(attrs)
	}
	return h
}

func (h journalHandler) WithGroup(name string) slog.Handler {
	for i := range h {
		h[i] = h[i].WithGroup(name)
	}
	return h
}

// prefixWriter writes prefix before each Write, which is one line of a Handler.
type prefixWriter struct {
	w      io.Writer
	prefix string
}

func (w prefixWriter) Write(p []byte) (int, error) {
	if _, err := w.w.Write(append([]byte(w.prefix), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}
