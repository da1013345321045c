// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"podgate/daemon/certstore"
	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/daemon/preflight"
	"podgate/haproxy/check"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check podgate.toml, without cluster, HAProxy or root",
		Long: `Check podgate.toml, without cluster, HAProxy or root.

What is wrong goes to standard error, a line each, as FILE:LINE: KEY: TEXT. Where
the haproxy binary and the operator's files are there, HAProxy is asked whether
it would load them together with podgate's own; what it has against the
operator's files is told and does not count, and neither does what is wrong with
certificates, or that this host is none of peers.nodes: podgate goes on without
them. Nothing is changed.

Exit code: 0 for a configuration that can be used, else 1.`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	show := cmd.Flags().Bool("print", false, "print the whole configuration, defaults as comments, with what cloud.profile stands for")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*file)
		if err != nil {
			return err
		}
		if *show {
			fmt.Fprint(cmd.OutOrStdout(), c)
		}
		if len(c.HTTPS.Binds) > 0 {
			for _, p := range certstore.ReadOnce(certstore.FromConfig(c)).Check() {
				fmt.Fprintln(cmd.ErrOrStderr(), "note: certificate", p)
			}
		}
		if err := preflight.CheckPeers(c); err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "note:", err)
		}
		h := c.HAProxy
		err = check.HAProxy{Binary: h.Binary, Files: h.Files}.State(cmd.Context(), compile.WithoutServices(c, nil))
		var theirs *check.OperatorError
		switch {
		case errors.Is(err, fs.ErrNotExist): // no HAProxy here yet
		case errors.As(err, &theirs):
			fmt.Fprintln(cmd.ErrOrStderr(), "note:", err)
		case err != nil:
			return fmt.Errorf("%s: %w", *file, err)
		}
		return nil
	}
	return cmd
}
