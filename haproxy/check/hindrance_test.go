// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"podgate/haproxy/check"
)

func TestHindrancesAreSettingsThatPodgateCannotWorkWith(t *testing.T) {
	for line, want := range map[string]string{
		"zero-warning":                     "rejects every configuration that causes a warning",
		"stats maxconn 1":                  "podgate needs 4",
		"stats maxconn 4":                  "",
		"stats timeout 1":                  "",
		"tune.vars.txn-max-size 400":       "answers 404",
		"tune.vars.global-max-size 1":      "answers 404",
		"tune.vars.sess-max-size 131072":   "",
		"tune.vars.proc-max-size 0":        "",
		"tune.vars.check-max-size 1":       "",
		"stats socket /admin level admin":  "",
		"stats socket unix@/admin mode 6":  "add level admin",
		"stats socket /admin level user":   "add level admin",
		"stats socket /other level user":   "",
		"stats socket":                     "",
		"server-state-file /state":         "",
		"hard-stop-after 1":                "",
		"description gen=1 of an operator": "",
	} {
		file := filepath.Join(t.TempDir(), "haproxy.cfg")
		if err := os.WriteFile(file, []byte("global\n  "+line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		globals, err := check.HAProxy{Files: []string{file}}.Globals()
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, h := range check.Hindrances(globals, "/admin") {
			got += h.String()
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) || got != "" && !strings.HasPrefix(got, file+":2: "+line+": ") {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}
