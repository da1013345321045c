// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"podgate/daemon/config"
	"podgate/daemon/dryrun"
)

func renderCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Print the HAProxy configuration that podgate would write",
		Long: `Print the HAProxy configuration that podgate would write: each file after a line
with its name. Without --from, the cluster is listed once. Problems of Services are
printed to standard error. Nothing is changed, and no HAProxy is needed.

Exit code: 0, even if there are Problems; 1 if nothing could be rendered.`,
		Example: `  kubectl get services,endpointslices -A -o yaml | podgate render --from -`,
		Args:    cobra.NoArgs,
	}
	file := configFlag(cmd)
	from := fromFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
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
		return dryrun.Render(cmd.Context(), c, version, objects, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func fromFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("from", "", "read the cluster from this file, the output of kubectl get services,endpointslices,nodes -o json or -o yaml; - is standard input")
}

// openObjects returns nil if the cluster itself is to be listed.
func openObjects(from string, stdin io.Reader) (io.ReadCloser, error) {
	switch from {
	case "":
		return nil, nil
	case "-":
		return io.NopCloser(stdin), nil
	}
	return os.Open(from)
}
