// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"podgate/daemon"
	"podgate/daemon/admin"
	"podgate/daemon/config"
)

// exitConfig is EX_CONFIG of sysexits.h. The unit does not restart podgate after it.
const exitConfig = 78

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Follow the cluster and keep HAProxy in sync, until SIGTERM",
		Long: `Follow the cluster and keep HAProxy in sync, until SIGTERM.

podgate re-reads podgate.toml on SIGHUP and whenever the file changes. HAProxy
continues to serve when podgate ends, whatever the reason. On a terminal, a line shows
the progress until HAProxy is in sync.

Exit code: 0 after SIGTERM; 78 if podgate cannot use the configuration, or if another
podgate manages the same haproxy.folder. With 78, nothing was changed.`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*file)
		if err != nil {
			return exitError{exitConfig, err}
		}
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
		level := new(slog.LevelVar)
		level.Set(c.Log.Level)
		stderr := cmd.ErrOrStderr()
		screen := &terminal{out: stderr, width: func() int { return admin.TerminalWidth(stderr) }}
		interactive := screen.width() > 0
		if interactive {
			stderr = screen
		}
		log := newLogger(stderr, c.Log.Format, level)
		d := &daemon.Daemon{
			ConfigFile: *file,
			Config:     c,
			Version:    version,
			Commit:     commit,
			Log:        log,
			Level:      level,
			Hangup:     hangup,
			Admin:      admin.New(c.Admin, log),
		}
		if interactive {
			ctx, cancel := context.WithCancel(cmd.Context())
			var showing sync.WaitGroup
			showing.Go(func() { screen.follow(ctx, d.Admin) })
			defer showing.Wait()
			defer cancel()
		}
		if err := d.Run(cmd.Context()); err != nil {
			return exitError{exitConfig, err}
		}
		return nil
	}
	return cmd
}
