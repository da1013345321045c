// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"podgate/daemon"
	"podgate/daemon/config"
)

func preflightCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "preflight",
		Short: "Try everything that podgate needs on this machine, before it runs",
		Long: `Try everything that podgate needs on this machine, before it runs: the API
server and each verb there, HAProxy's sockets, the folder, the addresses to listen
on, HAProxy's own configuration, and some pods of each node. One trouble hides no
other. Run it as the user podgate; nothing is changed.

A pod that refuses the connection is reached. One that does not answer is behind
a firewall, or its answer finds no way back; where there is no route at all, that
is told apart, with the route that would help.

Exit code: 0 if all is there, 1 if something is missing, 2 if podgate.toml cannot
be used.`,
		Example: `  sudo -u podgate podgate preflight`,
		Args:    cobra.NoArgs,
	}
	file := configFlag(cmd)
	output := cmd.Flags().StringP("output", "o", "text", "text, or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *output != "text" && *output != "json" {
			return exitError{exitTrouble, fmt.Errorf("output %q is not one of text, json", *output)}
		}
		c, err := config.Load(*file)
		if err != nil {
			return exitError{exitTrouble, err}
		}
		findings := daemon.Examine(cmd.Context(), c, version)
		failed := slices.ContainsFunc(findings, func(f daemon.Finding) bool { return !f.OK })
		if *output == "json" {
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			err = e.Encode(struct {
				OK       bool             `json:"ok"`
				Findings []daemon.Finding `json:"findings"`
			}{!failed, findings})
		} else {
			for _, f := range findings {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), f)
			}
		}
		switch {
		case err != nil:
			return exitError{exitTrouble, err}
		case failed:
			return exitError{exitDiffers, errors.New("")} // all has been said
		}
		return nil
	}
	return cmd
}
