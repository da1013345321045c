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
		Short: "Show why a Service, URL or address is or is not served",
		Long: `Show why a Service, URL or address is or is not served.

For a Service: whether it is selected, how podgate understands each annotation,
each endpoint with the state of its server in HAProxy, the routes, the conflicts
that it won or lost and why, and its lines in HAProxy's files.

For a URL or a host: the frontend and the route that match, whether the request is
redirected to https, the path that the pod receives, and the servers that may
receive it. For https also: whether TLS is terminated or passed through, which
certificate HAProxy presents, and whether it requires one from the client. The route
is also looked up in HAProxy's maps, and a different result is reported. --method and
--header set the method and the headers of the request: if the route depends on them,
the rule and the conditions that decide are shown, its backends with their shares, and
what it changes; if the request does not meet the conditions of a route, those that
fail.

For the address of a pod: the Services that have a server there, and its state.

Exit code: 0; 1 if there is no such Service, URL or address; 3 if podgate does not
answer.`,
		Example: `  podgate explain shop/cart
  podgate explain https://shop.example.com/cart/1
  podgate explain --method POST --header "X-Version: v2" shop.example.com/cart
  podgate explain 10.2.9.103:8080`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("explain requires one Service, URL or address, such as shop/cart, not %d", len(args))
			}
			return nil
		},
	}
	file := configFlag(cmd)
	socket := socketFlag(cmd)
	output := outputFlag(cmd)
	method := cmd.Flags().String("method", "", "method of the request for a URL (default GET)")
	headers := cmd.Flags().StringArray("header", nil, `header of this request, as "Name: value" (may be repeated)`)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		query, err := admin.NewQuery(args[0], *method, *headers)
		if err != nil {
			return err
		}
		x, err := admin.NewClient(controlSocket(*socket, *file)).Explain(cmd.Context(), query)
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
