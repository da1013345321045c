// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"podgate/daemon/admin"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain SERVICE|URL|ADDRESS",
		Short: "Show why a Service or a URL is served as it is, or is not",
		Long: `Show why a Service or a URL is served as it is, or is not.

Of a Service: whether it was asked for, each annotation as podgate understands
it, each endpoint with the state of its server as HAProxy sees it, its routes,
whom it won or lost them against and why, and the lines in HAProxy's files.

Of a URL or a host: which frontend and which route it meets, whether it is sent
to https, what the pod sees of its path, and which servers it may reach; of https
before that whether TLS ends here or is passed through, which certificate is
shown, and whether the client needs one; and whether HAProxy finds the same.

Of a pod's address: which Services have a server there, and how it does.

Exit code: 0; 1 if there is no such thing; 3 if podgate does not answer.`,
		Example: `  podgate explain shop/cart
  podgate explain https://shop.example.com/cart/1
  podgate explain 10.2.9.103:8080`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("explain takes one Service, URL or address, such as shop/cart, and not %d", len(args))
			}
			return nil
		},
	}
	file := configFlag(cmd)
	socket := socketFlag(cmd)
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		x, err := admin.NewClient(controlSocket(*socket, *file)).Explain(cmd.Context(), args[0])
		if noAnswer, ok := errors.AsType[*admin.NoAnswerError](err); ok {
			return exitError{exitUnknown, noAnswer}
		}
		if err != nil {
			return err
		}
		return show(cmd, *output, x, styleOf(cmd.OutOrStdout()))
	}
	return cmd
}
