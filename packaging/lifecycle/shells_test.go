// SPDX-License-Identifier: Apache-2.0

//go:build lifecycle

package lifecycle

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// zshTab prints what zsh, on a terminal of its own, offers for "podgate " and a Tab.
const zshTab = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1='> '; stty columns 200; autoload -Uz compinit; compinit -D; LISTMAX=1000; echo rea''dy"
zpty -r shell seen '*ready*'
zpty -w -n shell $'podgate \t'
zpty -r shell seen '*version *'
print -r -- "$seen"
`

// bashTab loads the completion like bash-completion at the first Tab, and prints what it
// offers.
const bashTab = `
source /usr/share/bash-completion/bash_completion
_completion_loader podgate
compopt() { :; }
COMP_WORDS=(podgate '') COMP_CWORD=1 COMP_LINE='podgate ' COMP_POINT=8 COMP_TYPE=9
$(complete -p podgate | grep -oE '__start_\w+')
printf '%s\n' "${COMPREPLY[@]}"
`

// completes checks that each shell finds the completion of the package without
// configuration, and offers the commands.
func completes(t *testing.T) {
	t.Helper()
	commands := []string{"check", "confirm", "demo", "diff", "drain", "explain", "help", "preflight", "render", "run", "setup", "status", "undrain", "version"}
	for shell, args := range map[string][]string{
		"bash": {"--norc", "-c", bashTab},
		"fish": {"-c", "complete -C 'podgate '"},
		"zsh":  {"-f"},
	} {
		if shell == "zsh" { // zpty needs a script in a file
			script := filepath.Join(t.TempDir(), "tab")
			if err := os.WriteFile(script, []byte(zshTab), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, script)
		}
		out, err := combined("timeout", append([]string{"20", shell}, args...)...)
		var offered []string
		for _, line := range regexp.MustCompile(`(?m)^(?:\x1b\[[0-9;?]*[A-Za-z])*([a-z]+)\s`).FindAllStringSubmatch(out+"\n", -1) {
			if line[1] != "podgate" {
				offered = append(offered, line[1])
			}
		}
		if err != nil || !slices.Equal(offered, commands) {
			t.Errorf("%s offers %q: %v\n%q", shell, offered, err, out)
		}
	}
}
