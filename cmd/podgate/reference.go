// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// referenceCommand prints the --help of every command on one page. The man page is
// made from it.
func referenceCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "reference",
		Short:  "Print the help of every command, as Markdown",
		Hidden: true,
		Args:   cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			out := cmd.OutOrStdout()
			root := cmd.Root()
			fmt.Fprintf(out, "# NAME\n\npodgate - %s\n\n# SYNOPSIS\n\n**podgate** *COMMAND* [*FLAGS*]\n\n", lowerFirst(root.Short))
			fmt.Fprintf(out, "# DESCRIPTION\n\n%s\n\n# COMMANDS\n\n", literal(root.Long))
			for _, c := range root.Commands() {
				writeReference(out, c)
			}
			fmt.Fprint(out, seeAlso)
		},
	}
}

const seeAlso = `# FILES

` + defaultConfig + `
: the configuration, podgate.toml(5)

/var/lib/podgate/haproxy
: the files that podgate writes and HAProxy loads

# SEE ALSO

podgate.toml(5), haproxy(1), /usr/share/doc/podgate/README.Debian
`

// writeReference writes a command, then its subcommands.
func writeReference(out io.Writer, cmd *cobra.Command) {
	if !cmd.IsAvailableCommand() {
		return
	}
	fmt.Fprintf(out, "## %s\n\n", literal(cmd.UseLine()))
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(out, "%s\n\n", literal(text))
	if cmd.Example != "" {
		fmt.Fprintf(out, "    %s\n\n", strings.ReplaceAll(strings.TrimSpace(cmd.Example), "\n  ", "\n    "))
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		term := "**--" + f.Name + "**"
		if f.Shorthand != "" {
			term = "**-" + f.Shorthand + "**, " + term
		}
		if value != "" {
			term += " *" + value + "*"
		}
		if !strings.Contains("[] false 0s", f.DefValue) {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(out, "%s\n: %s\n\n", term, literal(usage))
	})
	for _, sub := range cmd.Commands() {
		writeReference(out, sub)
	}
}

// literal escapes Markdown's special characters. Indented lines are code in Markdown,
// and stay as they are.
func literal(text string) string {
	escape := strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "<", `\<`, "[", `\[`, "`", "\\`")
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "    ") {
			line = escape.Replace(line)
		}
		b.WriteString(line)
	}
	return b.String()
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
