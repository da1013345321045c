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
		Long: `Show podgate at work in this terminal, without root, cluster or systemd.

A made-up cluster with a small shop of Services, whose pods are HTTP servers on
loopback addresses; a real HAProxy; podgate's own loop between them; and clients
that never stop. The pods roll, scale and move the whole time, and Services come
and go. What is started ends with the command, and what is written goes.

HAProxy is haproxy of $PATH, or the binary that $HAPROXY names.

Exit code: 0 if every request was answered, else 1.`,
		Example: `  podgate demo --for 30s`,
		Args:    cobra.NoArgs,
	}
	length := cmd.Flags().Duration("for", 0, "how long the clients ask; 0 is until Ctrl-C")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return demo.Run(cmd.Context(), demo.Options{For: *length, Version: version, Out: cmd.OutOrStdout()})
	}
	return cmd
}
