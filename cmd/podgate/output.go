// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

// outputFlag is the flag -o of a command that reports.
func outputFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("output", "o", "text", "text, or json")
}

// checkOutput is for the command itself, whose exit code says what went wrong.
func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return fmt.Errorf("output %q is not one of text, json", output)
	}
	return nil
}

// printJSON prints v for a program to read.
func printJSON(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
