// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"podgate/daemon"
	"podgate/daemon/config"
)

// TestTheLoopNotifiesTheWatchdog runs podgate as systemd does, without an API server and
// without HAProxy: the unit starts and keeps running.
func TestTheLoopNotifiesTheWatchdog(t *testing.T) {
	messages := listenAsSystemd(t)
	// With a tenth of a second every pass sends WATCHDOG=1.
	t.Setenv("WATCHDOG_USEC", "100000")
	t.Setenv("WATCHDOG_PID", "")
	dir := t.TempDir()
	file := filepath.Join(dir, "podgate.toml")
	text := "[kubernetes]\nserver = \"http://127.0.0.1:1\"\n[haproxy]\nfolder = \"" + dir + "\"\n"
	must(t, os.WriteFile(file, []byte(text), 0o600))
	c, err := config.Load(file)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		d := &daemon.Daemon{ConfigFile: file, Config: c, Log: slog.New(slog.DiscardHandler)}
		ended <- d.Run(ctx)
	}()
	for _, want := range []string{"READY=1\nSTATUS=waiting for the API server", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := receive(t, messages); got != want {
			t.Errorf("systemd receives %q, want %q", got, want)
		}
	}
	cancel()
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
	last := ""
	for last != "STOPPING=1" {
		select {
		case last = <-messages:
		case <-time.After(10 * time.Second):
			t.Fatalf("no STOPPING=1, the last message was %q", last)
		}
	}
}

// listenAsSystemd sets $NOTIFY_SOCKET, and returns the messages that are sent to it.
func listenAsSystemd(t *testing.T) <-chan string {
	t.Helper()
	dir, err := os.MkdirTemp("", "podgate") // sockets have names of 107 bytes at most
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", conn.LocalAddr().String())
	messages := make(chan string, 100) // closed when the socket is
	go func() {
		defer close(messages)
		for {
			buffer := make([]byte, 4096)
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			messages <- strings.TrimSpace(string(buffer[:n]))
		}
	}()
	return messages
}
