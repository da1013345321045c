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
		Short: "Test everything that podgate needs on this machine, before it runs",
		Long: `Test everything that podgate needs on this machine, before it runs: the API server,
each verb and each Secret that Services name, HAProxy's sockets, podgate's folder,
certificates, the entry of this host in peers.nodes, the addresses to listen on,
your own HAProxy files, and connections to some pods of each node of the cluster.
Every test runs, even if an earlier one fails. Nothing is changed. Run the command
as the user podgate.

A pod that refuses the connection is reachable. If a pod does not answer, a firewall
drops the packets, or the pod has no route back. If this machine has no route to the
pod, the output names the route to add.

Exit code: 0 if every test passes, 1 if one fails, 2 if podgate.toml cannot be
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
