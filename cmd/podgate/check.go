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
		Short: "Validate podgate.toml; needs no cluster, running HAProxy or root",
		Long: `Validate podgate.toml. This needs no cluster, no running HAProxy and no root, and
changes nothing.

Each error is printed to standard error as FILE:LINE: KEY: TEXT. If the haproxy
program and your own configuration files exist, "haproxy -c" validates these files
together with those of podgate.

Notes are printed to standard error too, but do not affect the exit code: errors in
your own files, problems with certificates, and a host that is not listed in
peers.nodes.

Exit code: 0 if podgate can use the configuration, otherwise 1.`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	show := cmd.Flags().Bool("print", false, "print the whole configuration, with defaults as comments and cloud.profile expanded")
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
		case errors.Is(err, fs.ErrNotExist): // HAProxy is not installed yet
		case errors.As(err, &theirs):
			fmt.Fprintln(cmd.ErrOrStderr(), "note:", err)
		case err != nil:
			return fmt.Errorf("%s: %w", *file, err)
		}
		return nil
	}
	return cmd
}
