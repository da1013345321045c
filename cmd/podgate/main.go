// SPDX-License-Identifier: Apache-2.0

// Command podgate keeps the HAProxy of an edge box in sync with the Services of
// a Kubernetes cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if err.Error() != "" { // else all has been said
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(exitCode(err))
	}
}

// run carries out one command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}

// newRoot returns podgate with all its commands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "podgate",
		Short: "Keeps HAProxy on an edge box in sync with the Services of a Kubernetes cluster",
		Long: `podgate follows the API server of a cluster that this box is no part of, computes
the frontends and backends that HAProxy should have from Services, their
annotations and their pods' addresses, and brings HAProxy there without dropping
a request: through its runtime API where HAProxy can, by a verified seamless
reload where it cannot.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// Errors are printed once, by main; a wrong flag needs no page of usage.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		runCommand(),
		checkCommand(),
		renderCommand(),
		diffCommand(),
		statusCommand(),
		explainCommand(),
		confirmCommand(),
		drainCommand(),
		undrainCommand(),
		preflightCommand(),
		setupCommand(),
		demoCommand(),
		versionCommand(),
		referenceCommand(),
	)
	return root
}

// defaultConfig is where the package and the unit expect podgate.toml.
const defaultConfig = "/etc/podgate/podgate.toml"

func configFlag(cmd *cobra.Command) *string {
	file := cmd.Flags().String("config", defaultConfig, "podgate.toml to read")
	cobra.CheckErr(cmd.MarkFlagFilename("config", "toml"))
	return file
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	error
}

func (e exitError) Unwrap() error { return e.error }

// failsWith has cmd do run, and exit with code where it cannot, or was asked wrong:
// it says something else by 1.
func failsWith(cmd *cobra.Command, code int, run func(*cobra.Command, []string) error) {
	coded := func(err error) error {
		if _, has := errors.AsType[exitError](err); err == nil || has {
			return err
		}
		return exitError{code, err}
	}
	args := cmd.Args
	cmd.Args = func(cmd *cobra.Command, given []string) error { return coded(args(cmd, given)) }
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return coded(err) })
	cmd.RunE = func(cmd *cobra.Command, given []string) error { return coded(run(cmd, given)) }
}

// exitCode is 1 for every error that does not say otherwise.
func exitCode(err error) int {
	if e, ok := errors.AsType[exitError](err); ok {
		return e.code
	}
	return 1
}
