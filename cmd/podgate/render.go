// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"podgate/daemon"
	"podgate/daemon/config"
	"podgate/kubeapi"
)

func renderCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Print the HAProxy configuration that the cluster asks for",
		Long: `Print the HAProxy configuration that the cluster asks for: each file behind a
line with its name. Problems of Services go to standard error. Nothing is
changed, and no HAProxy is needed.

Exit code: 0, with Problems too; 1 if nothing could be rendered.`,
		Example: `  kubectl get services,endpointslices -A -o yaml | podgate render --from -`,
		Args:    cobra.NoArgs,
	}
	file := configFlag(cmd)
	from := cmd.Flags().String("from", "", "read the cluster from a file, as kubectl get services,endpointslices -o json or -o yaml prints it; - is standard input")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*file)
		if err != nil {
			return err
		}
		snapshot, err := readCluster(cmd.Context(), *from, cmd.InOrStdin(), c)
		if err != nil {
			return err
		}
		return daemon.Render(c, snapshot, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// readCluster lists the cluster once, or reads it from a file.
func readCluster(ctx context.Context, from string, stdin io.Reader, c *config.Config) (*kubeapi.Snapshot, error) {
	switch from {
	case "":
		client, err := kubeapi.New(daemon.ClientConfig(c.Kubernetes, "podgate/"+version), slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, err
		}
		return client.List(ctx)
	case "-":
		return kubeapi.Decode(stdin)
	}
	objects, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer objects.Close()
	snapshot, err := kubeapi.Decode(objects)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return snapshot, nil
}
