// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"podgate/daemon/admin"
	"podgate/daemon/config"
)

// exitUnknown is the exit code of status if podgate does not answer, as in Nagios.
const exitUnknown = 3

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether HAProxy is in sync, what it serves, and what is wrong",
		Long: `Show whether HAProxy is in sync, what it serves, and what is wrong: one screen,
problems first. The command connects to the control socket of the running podgate.

Exit code: 0 if there is no problem; 1 if there is a problem, but everything that was
served is still served (a Problem of a Service, an unreachable API server); 2 if
HAProxy does not serve what it should; 3 if podgate does not answer.`,
		Example: `  podgate status
  podgate status -o json | jq .count
  podgate status --history`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	socket := socketFlag(cmd)
	output := outputFlag(cmd)
	history := cmd.Flags().Bool("history", false, "show all recorded changes, newest first")
	all := cmd.Flags().Bool("all", false, "show every Service, problem and expiring certificate")
	failsWith(cmd, exitUnknown, func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		client := admin.NewClient(controlSocket(*socket, *file))
		style := styleOf(cmd.OutOrStdout())
		style.All = *all
		if *history {
			h, err := client.History(cmd.Context())
			if err != nil {
				return err
			}
			style.All = true
			return show(cmd, *output, h, style)
		}
		s, err := client.Status(cmd.Context(), -1)
		if err != nil {
			return err
		}
		if err := show(cmd, *output, s, style); err != nil {
			return err
		}
		if code := s.Level.ExitCode(); code != 0 {
			return exitError{code, errors.New("")} // everything has been printed
		}
		return nil
	})
	return cmd
}

// printed prints itself as text, and is marshalled as JSON.
type printed interface {
	Print(io.Writer, admin.Style)
}

func show(cmd *cobra.Command, output string, v printed, style admin.Style) error {
	if output == "json" {
		return printJSON(cmd, v)
	}
	v.Print(cmd.OutOrStdout(), style)
	return nil
}

func socketFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("socket", "", "control socket to connect to, instead of admin.socket of podgate.toml")
}

// controlSocket returns named, or else the socket of podgate.toml. A podgate.toml that
// is invalid now, or that this user may not read, is no error.
func controlSocket(named, file string) string {
	if named != "" {
		return named
	}
	return config.ControlSocket(file)
}

// styleOf uses colours on a terminal only (no-color.org).
func styleOf(out io.Writer) admin.Style {
	width := admin.TerminalWidth(out)
	return admin.Style{Color: width > 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", Width: width}
}
