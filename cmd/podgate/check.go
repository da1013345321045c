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
		Short: "Check podgate.toml; needs no cluster, HAProxy or root",
		Long: `Check podgate.toml. This needs no cluster, no running HAProxy and no root.

Each error is printed to standard error as FILE:LINE: KEY: TEXT. If the haproxy
binary and your own configuration files exist, "haproxy -c" checks them together
with podgate's. Complaints about your own files are printed but do not affect the
exit code. Neither do problems with certificates, or a missing entry for this host
in peers.nodes: podgate runs without them. Nothing is changed.

Exit code: 0 if the configuration can be used, otherwise 1.`,
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
