// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/daemon/guard"
)

// confirmTimeout is longer than podgate takes to read its folder again, even during a
// reload.
const confirmTimeout = 30 * time.Second

func confirmCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "confirm",
		Short: "Apply the removal that podgate holds because it is unusually large",
		Long: `Apply the removal that podgate holds because it is unusually large ([safety] in
podgate.toml). The command returns when podgate has released the removal. It writes
to podgate's folder: run it as root or as the user podgate.

Exit code: 0 if the removal was released or, with --show, printed; 1 if no removal
is held, or on an error.`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	show := cmd.Flags().Bool("show", false, "print the removal that podgate holds, and change nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*file)
		if err != nil {
			return err
		}
		dir := confdir.Dir(c.HAProxy.Folder)
		held, err := guard.Held(dir)
		if err != nil {
			return err
		}
		if *show {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "podgate holds the removal of %s\n%s\n", held, held.Outlook())
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), confirmTimeout)
		defer cancel()
		if err := guard.Confirm(ctx, dir, held); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "podgate released the removal of %s\n", held)
		return err
	}
	return cmd
}
