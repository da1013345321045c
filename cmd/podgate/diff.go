// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"podgate/daemon/config"
	"podgate/daemon/dryrun"
)

// The exit codes of diff, as in diff(1).
const (
	exitDiffers = 1
	exitTrouble = 2
)

func diffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Compare the running HAProxy and its files with what they should be",
		Long: `Compare the running HAProxy, and podgate's files for it, with what the cluster
requires, and change nothing. Each difference is one line: where it is (process or
file), how podgate would correct it (runtime, reload or write), and what differs.

Exit code: 0 if there is no difference, 1 if there is a difference, 2 if the
comparison fails.`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	from := fromFlag(cmd)
	output := outputFlag(cmd)
	failsWith(cmd, exitTrouble, func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		c, err := config.Load(*file)
		if err != nil {
			return err
		}
		objects, err := openObjects(*from, cmd.InOrStdin())
		if err != nil {
			return err
		}
		if objects != nil {
			defer objects.Close()
		}
		differences, err := dryrun.Diff(cmd.Context(), c, version, objects)
		if err != nil {
			return err
		}
		if err := printDifferences(cmd, *output, differences); err != nil {
			return err
		}
		if len(differences) > 0 {
			return exitError{exitDiffers, errors.New("")} // everything has been printed
		}
		return nil
	})
	return cmd
}

func printDifferences(cmd *cobra.Command, output string, differences []dryrun.Difference) error {
	if output == "json" {
		return printJSON(cmd, struct {
			Same        bool                `json:"same"`
			Differences []dryrun.Difference `json:"differences"`
		}{len(differences) == 0, append([]dryrun.Difference{}, differences...)})
	}
	for _, d := range differences {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), d); err != nil {
			return err
		}
	}
	return nil
}
