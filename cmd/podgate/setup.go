// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"podgate/daemon/config"
	"podgate/daemon/setup"
)

func setupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Have other services of this machine work with podgate",
		Long: `Have other services of this machine work with podgate. There is one such service,
haproxy.service.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(setupHAProxyCommand())
	return cmd
}

func setupHAProxyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "haproxy",
		Short: "Have haproxy.service load podgate's folder and open a master CLI",
		Long: `Have haproxy.service load podgate's folder, and open a master CLI by which podgate
reloads it: one drop-in, /etc/systemd/system/haproxy.service.d/podgate.conf, the
folder if it is missing, and systemctl daemon-reload. Your own files are not
changed, and what you or others have set in $EXTRAOPTS is kept.

HAProxy takes the drop-in at its next restart, which cuts its connections, once.
It is restarted only with --restart, and only if it runs without the drop-in.

Before anything is done it is looked what stands in the way: another file that
overrides the drop-in, addresses that podgate.toml and others listen on, what
"haproxy -c" says of all files together. Then nothing is changed. Without
podgate.toml its defaults are taken. Doing it again changes nothing.

Exit code: 0 if it is done, or with --check if nothing is left to do; else 1.`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	printOnly := cmd.Flags().Bool("print", false, "print the drop-in, and to standard error what would be done; change nothing")
	check := cmd.Flags().Bool("check", false, "tell what is left to do, and change nothing")
	undo := cmd.Flags().Bool("undo", false, "take the drop-in away")
	restart := cmd.Flags().Bool("restart", false, "restart HAProxy if that is needed; its connections are cut")
	cmd.MarkFlagsMutuallyExclusive("print", "check", "undo")
	cmd.MarkFlagsMutuallyExclusive("print", "check", "restart")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*file)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: there is no %s yet, its defaults are taken\n", *file)
			c = config.Default()
		} else if err != nil {
			return err
		}
		s := setup.Session{Host: new(setup.Host), Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}
		done := true
		switch {
		case *printOnly:
			err = s.Print(cmd.Context(), c)
		case *check:
			done, err = s.Check(cmd.Context(), c)
		case *undo:
			err = s.Undo(cmd.Context(), c, *restart)
		default:
			err = s.Do(cmd.Context(), c, *restart)
		}
		if err == nil && !done {
			return errors.New("") // all has been said
		}
		return err
	}
	return cmd
}
