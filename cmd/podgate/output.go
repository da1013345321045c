// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

// outputFlag adds the flag -o.
func outputFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("output", "o", "text", "text, or json")
}

// checkOutput is called by the command, so that its exit code is that of an error.
func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return fmt.Errorf("output %q is not one of text, json", output)
	}
	return nil
}

// printJSON prints v as indented JSON.
func printJSON(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
