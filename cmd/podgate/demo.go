// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"podgate/daemon/demo"
)

func demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show podgate at work in this terminal, without root, cluster or systemd",
		Long: `Show podgate at work in this terminal. This needs no root, no cluster and no
systemd.

The demo runs a simulated cluster with a small shop of Services, whose pods are
HTTP servers on loopback addresses, a real HAProxy, podgate, and clients that send
requests all the time. Meanwhile pods are rolled, scaled and moved, and Services
are added and removed. When the demo ends, it stops everything that it started and
removes its files.

The HAProxy program is $HAPROXY if that is set, otherwise haproxy from $PATH.

Exit code: 0 if every request was answered, otherwise 1.`,
		Example: `  podgate demo --for 30s`,
		Args:    cobra.NoArgs,
	}
	length := cmd.Flags().Duration("for", 0, "how long the clients send requests; 0 is until Ctrl-C")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return demo.Run(cmd.Context(), demo.Options{For: *length, Version: version, Out: cmd.OutOrStdout()})
	}
	return cmd
}
