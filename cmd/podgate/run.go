// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"podgate/daemon"
	"podgate/daemon/admin"
	"podgate/daemon/config"
)

// exitConfig is EX_CONFIG of sysexits.h. The unit does not start us again after
// it.
const exitConfig = 78

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Follow the cluster and keep HAProxy in step, until SIGTERM",
		Long: `Follow the cluster and keep HAProxy in step, until SIGTERM.

SIGHUP, and every change of the configuration file, reads it again. HAProxy goes
on serving when podgate ends, for whatever reason.

Exit code: 0 after SIGTERM, 78 for a configuration that cannot be used.`,
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
		log := newLogger(cmd.ErrOrStderr(), c.Log.Format, level)
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
		if err := d.Run(cmd.Context()); err != nil {
			return exitError{exitConfig, err}
		}
		return nil
	}
	return cmd
}

// newLogger writes as podgate.toml says, without the time where journald adds
// its own.
func newLogger(w io.Writer, format config.LogFormat, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if os.Getenv("JOURNAL_STREAM") != "" {
		options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	if format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
