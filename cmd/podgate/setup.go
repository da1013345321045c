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
		Short: "Configure other services of this machine for podgate",
		Long: `Configure other services of this machine for podgate. The only one is
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
		Short: "Configure haproxy.service to load podgate's folder and open a master CLI",
		Long: `Configure haproxy.service to load podgate's folder and to open a master CLI, through
which podgate reloads HAProxy. The command writes one drop-in,
/etc/systemd/system/haproxy.service.d/podgate.conf, creates the folder if it is
missing, and runs systemctl daemon-reload. It does not change your own files, and
keeps the other options in $EXTRAOPTS. Running it again changes nothing.

HAProxy uses the drop-in after its next restart, which closes its connections once.
The command restarts HAProxy only with --restart, and only if HAProxy runs without
the drop-in.

Before it changes anything, the command checks for conflicts: another file that
overrides the drop-in, an address of podgate.toml that another process listens on,
and errors of "haproxy -c" for all files together. If there is a conflict, the
command changes nothing. If podgate.toml does not exist, its defaults are used.

Exit code: 0 if everything is done or, with --check, nothing is left to do; otherwise
1.`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	printOnly := cmd.Flags().Bool("print", false, "print the drop-in and, to standard error, the steps that are left; change nothing")
	check := cmd.Flags().Bool("check", false, "print the steps that are left, and change nothing")
	undo := cmd.Flags().Bool("undo", false, "remove the drop-in")
	restart := cmd.Flags().Bool("restart", false, "restart HAProxy if necessary, which closes its connections")
	cmd.MarkFlagsMutuallyExclusive("print", "check", "undo")
	cmd.MarkFlagsMutuallyExclusive("print", "check", "restart")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*file)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: %s does not exist yet; its defaults are used\n", *file)
			c = config.Default()
		} else if err != nil {
			return err
		}
		h := setup.Host{Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}
		done := true
		switch {
		case *printOnly:
			err = h.Print(cmd.Context(), c)
		case *check:
			done, err = h.Check(cmd.Context(), c)
		case *undo:
			err = h.Undo(cmd.Context(), c, *restart)
		default:
			err = h.Apply(cmd.Context(), c, *restart)
		}
		if err == nil && !done {
			return errors.New("") // everything has been printed
		}
		return err
	}
	return cmd
}
