// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestExamplesValidate runs the command with which each example for configuration
// management validates a podgate.toml before it installs it.
func TestExamplesValidate(t *testing.T) {
	for _, row := range []struct{ file, pattern, placeholder string }{
		{"puppet/podgate.pp", `validate_cmd => '/usr/sbin/podgate (.*)'`, "%"},
		{"ansible/podgate.yml", `validate: /usr/sbin/podgate (.*)`, "%s"},
	} {
		t.Run(row.file, func(t *testing.T) {
			text, err := os.ReadFile("../../packaging/examples/" + row.file)
			if err != nil {
				t.Fatal(err)
			}
			line := regexp.MustCompile(row.pattern).FindStringSubmatch(string(text))
			if line == nil || !strings.Contains(line[1], row.placeholder) {
				t.Fatalf("no line %s with %s", row.pattern, row.placeholder)
			}
			validate := func(file string) (string, int) {
				_, stderr, code := podgate(t, strings.Fields(strings.ReplaceAll(line[1], row.placeholder, file))...)
				return stderr, code
			}
			if stderr, code := validate(write(t, "podgate.toml20261122-77-1x", smallest)); code != 0 || stderr != "" {
				t.Errorf("a valid file: code %d, %s", code, stderr)
			}
			bad := write(t, "source", strings.Replace(smallest, "server", "sever", 1))
			if stderr, code := validate(bad); code != 1 || !strings.HasPrefix(stderr, bad+":") {
				t.Errorf("an invalid file: code %d, %s", code, stderr)
			}
		})
	}
}
