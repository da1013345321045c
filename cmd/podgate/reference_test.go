// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestReferenceHasEveryCommand compares the page with the commands and flags of --help.
func TestReferenceHasEveryCommand(t *testing.T) {
	page, stderr, code := podgate(t, "reference")
	if code != 0 || stderr != "" {
		t.Fatalf("code %d, %s", code, stderr)
	}
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		if !cmd.IsAvailableCommand() {
			return
		}
		_, section, ok := strings.Cut(page, "\n## "+literal(cmd.UseLine())+"\n")
		if !ok {
			t.Errorf("%s is missing", cmd.CommandPath())
		}
		section, _, _ = strings.Cut(section, "\n## ")
		if first, _, _ := strings.Cut(cmd.Long, "\n"); !strings.Contains(section, literal(first)) {
			t.Errorf("%s: its description is missing", cmd.CommandPath())
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(section, "**--"+f.Name+"**") {
				t.Errorf("%s: --%s is missing", cmd.CommandPath(), f.Name)
			}
		})
		for _, below := range cmd.Commands() {
			look(below)
		}
	}
	for _, cmd := range newRoot().Commands() {
		look(cmd)
	}
}
