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

// confirmTimeout is longer than podgate takes to look at its folder again, even
// in the middle of a reload.
const confirmTimeout = 30 * time.Second

func confirmCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "confirm",
		Short: "Let go what podgate holds because too much would go at once",
		Long: `Let go what podgate holds because too much would go at once (podgate.toml,
[safety]), and return when podgate has taken that. It needs to write to podgate's
folder: run it as root or as the user podgate. With --show it only tells what is
held.

Exit code: 0 if it was let go, or shown; 1 if nothing is held, or on an error.`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	show := cmd.Flags().Bool("show", false, "tell what is held and change nothing")
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
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "podgate lets go %s\n", held)
		return err
	}
	return cmd
}
