// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"testing"
)

func TestDrainAndUndrainWithoutHAProxy(t *testing.T) {
	folder := t.TempDir()
	file := write(t, "podgate.toml", fmt.Sprintf("[kubernetes]\nserver = \"https://192.0.2.10:6443\"\n[haproxy]\nfolder = %q\nadmin_socket = \"/nonexistent/admin.sock\"\nmaster_socket = \"/nonexistent/master.sock\"\nerror_files = \"\"\n[cloud]\ndrain_wait = \"0s\"\n", folder))
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"undrain"}, "not draining; HAProxy does not answer\n"},
		{[]string{"drain", "--wait"}, "HAProxy does not answer; it will drain when it starts\ndrained: no sessions are left\n"},
		{[]string{"undrain", "--if-over"}, "the drain has not expired\n"},
		{[]string{"drain", "--for", "1ms"}, "HAProxy does not answer; it will drain when it starts\nthe drain ends after 1ms if podgate is running then\n"},
		{[]string{"undrain", "--if-over"}, "not draining; HAProxy does not answer\n"},
	} {
		stdout, stderr, code := podgate(t, append(row.args, "--config", file)...)
		if stdout != row.want || stderr != "" || code != 0 {
			t.Errorf("podgate %s: got %q, stderr %q, code %d, want %q", row.args, stdout, stderr, code, row.want)
		}
	}
}
