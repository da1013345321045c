// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"podgate/daemon/config"
	"podgate/daemon/preflight"
)

func preflightCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "preflight",
		Short: "Try everything that podgate needs on this machine before it runs",
		Long: `Try everything that podgate needs on this machine before it runs: the API server,
each verb there and the Secrets that Services name, HAProxy's sockets, podgate's
folder, certificates, the entry of this host in peers.nodes, the addresses to
listen on, HAProxy's own configuration, and some pods of each node. Every check
runs even if an earlier one fails. Run it as the user podgate. Nothing is changed.

A pod that refuses the connection is reachable. A pod that does not answer is
behind a firewall, or its answer has no route back. If there is no route to the
pod, the output says which route to add.

Exit code: 0 if every check passes, 1 if one fails, 2 if podgate.toml cannot be
used.`,
		Example: `  sudo -u podgate podgate preflight`,
		Args:    cobra.NoArgs,
	}
	file := configFlag(cmd)
	output := outputFlag(cmd)
	failsWith(cmd, exitTrouble, func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		c, err := config.Load(*file)
		if err != nil {
			return err
		}
		findings := preflight.Run(cmd.Context(), c, version)
		failed := slices.ContainsFunc(findings, func(f preflight.Finding) bool { return !f.OK })
		if err := printFindings(cmd, *output, findings, !failed); err != nil {
			return err
		}
		if failed {
			return exitError{exitDiffers, errors.New("")} // everything has been printed
		}
		return nil
	})
	return cmd
}

func printFindings(cmd *cobra.Command, output string, findings []preflight.Finding, ok bool) error {
	if output == "json" {
		return printJSON(cmd, struct {
			OK       bool                `json:"ok"`
			Findings []preflight.Finding `json:"findings"`
		}{ok, findings})
	}
	for _, f := range findings {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), f); err != nil {
			return err
		}
	}
	return nil
}
