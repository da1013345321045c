// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecondPodgateEnds runs a second podgate on the folder of the first, with another
// selection of Services. Without a lock it would remove everything that the first serves.
func TestSecondPodgateEnds(t *testing.T) {
	b := newBox(t)
	b.newPod(t, 0)
	b.start(t)
	b.awaitPod(t, 0)
	b.awaitNoDifference(t)

	text, err := os.ReadFile(b.TOML)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.ReplaceAll(string(text), b.Socket, filepath.Join(t.TempDir(), "second.sock"))
	second := write(t, "second.toml", regexp.MustCompile("namespaces = .*").ReplaceAllString(other, `namespaces = ["other"]`))
	_, stderr, code := podgate(t, "run", "--config", second)
	want := fmt.Sprintf("haproxy.folder: %q is managed by another podgate (process %d, %s): stop that one, or set another folder\n",
		b.HAProxy.Folder, b.podgate.Process.Pid, b.TOML)
	if code != exitConfig || stderr != want {
		t.Errorf("got exit code %d and\n%swant %d and\n%s", code, stderr, exitConfig, want)
	}

	for _, command := range [][]string{{"check"}, {"render"}, {"diff"}, {"status"}} {
		if _, stderr, code := podgate(t, append(command, "--config", b.TOML)...); code != 0 {
			t.Errorf("%v while podgate runs: exit code %d: %s", command, code, stderr)
		}
	}
	b.awaitPod(t, 0)

	b.podgate.Kill()
	b.start(t) // a killed podgate leaves no lock
	b.newPod(t, 1)
	b.awaitPod(t, 1)
}
