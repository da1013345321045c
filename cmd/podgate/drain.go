// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"podgate/daemon"
	"podgate/daemon/config"
)

func drainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Take this edge node out of its load balancer",
		Long: `Take this edge node out of its load balancer. Its health checks fail from now
on, and every answer ends its connection, so that clients go elsewhere; what is
under way goes on. The node drains until podgate undrain, over reloads and
restarts of HAProxy and podgate. podgate need not run.

Exit code: 0 if the node drains, and with --wait if nobody uses it any more;
1 if it cannot be drained, or sessions outlived cloud.drain_timeout.`,
		Example: `  podgate drain --wait && systemctl restart haproxy && podgate undrain
  podgate drain --for 30m`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	var o daemon.DrainOptions
	cmd.Flags().BoolVar(&o.Wait, "wait", false, "return when cloud.drain_wait has passed and the sessions have ended")
	cmd.Flags().DurationVar(&o.For, "for", 0, "the drain ends by itself after so long; 0 is until podgate undrain")
	cmd.Flags().BoolVar(&o.UntilBoot, "until-boot", false, "the drain ends when the machine is booted again")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*file)
		if err != nil {
			return err
		}
		return daemon.Drain(cmd.Context(), c, o, cmd.OutOrStdout())
	}
	return cmd
}

func undrainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "undrain",
		Short: "End a drain: the load balancer may send clients again",
		Args:  cobra.NoArgs,
	}
	file := configFlag(cmd)
	ifOver := cmd.Flags().Bool("if-over", false, "only a drain whose --for has passed, or whose --until-boot has come")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*file)
		if err != nil {
			return err
		}
		return daemon.Undrain(cmd.Context(), c, *ifOver, cmd.OutOrStdout())
	}
	return cmd
}
