// SPDX-License-Identifier: Apache-2.0

// Command podgate keeps the HAProxy of an edge node in sync with the Services of
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
		if err.Error() != "" { // otherwise everything has been printed
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(exitCode(err))
	}
}

// run executes one command line.
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
		Short: "Keeps HAProxy on an edge node in sync with the Services of a Kubernetes cluster",
		Long: `podgate follows the API server of a Kubernetes cluster that this machine is not
part of. From Services, their annotations and the addresses of their pods it
computes the frontends and backends that HAProxy should have, and applies every
change without dropping a request: through HAProxy's runtime API where HAProxy
supports the change, otherwise by a verified seamless reload.`,
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

// defaultConfig is the podgate.toml of the Debian package and the unit.
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

// failsWith makes run the command's function. Its errors, and those of a wrong usage,
// exit with code, because exit code 1 of the command has a meaning of its own.
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

// exitCode is 1 unless err is an exitError.
func exitCode(err error) int {
	if e, ok := errors.AsType[exitError](err); ok {
		return e.code
	}
	return 1
}
