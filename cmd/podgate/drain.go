// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"podgate/daemon/config"
	"podgate/daemon/drain"
)

func drainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Take this edge node out of its load balancer",
		Long: `Take this edge node out of its load balancer. Its health checks fail from now on,
and HAProxy closes each connection after its next answer, so that clients connect to
other edge nodes. Running requests continue. The drain lasts until "podgate
undrain", also across reloads and restarts of HAProxy and podgate. The command works
without a running podgate.

Exit code: 0 if the node drains and, with --wait, its sessions have ended; 1 if the
node cannot be drained, or if sessions are left after cloud.drain_timeout.`,
		Example: `  podgate drain --wait && systemctl restart haproxy && podgate undrain
  podgate drain --for 30m`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	var o drain.Options
	cmd.Flags().BoolVar(&o.Wait, "wait", false, "return when cloud.drain_wait has passed and all sessions have ended")
	cmd.Flags().DurationVar(&o.For, "for", 0, "end the drain after this time, if podgate runs then; 0 drains until podgate undrain")
	cmd.Flags().BoolVar(&o.UntilBoot, "until-boot", false, "end the drain when the machine boots")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*file)
		if err != nil {
			return err
		}
		return drain.Begin(cmd.Context(), c, o, cmd.OutOrStdout())
	}
	return cmd
}

func undrainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "undrain",
		Short: "Put this edge node back into its load balancer",
		Long: `Put this edge node back into its load balancer: end its drain, so that its health
checks pass again.

Exit code: 0; 1 on an error.`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	ifOver := cmd.Flags().Bool("if-over", false, "end only a drain that has expired: --for has passed, or the machine has booted since --until-boot")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*file)
		if err != nil {
			return err
		}
		if *ifOver {
			return drain.EndExpired(cmd.Context(), c, cmd.OutOrStdout())
		}
		return drain.End(cmd.Context(), c, cmd.OutOrStdout())
	}
	return cmd
}
