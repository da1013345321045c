// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestATableBecomesParagraphs(t *testing.T) {
	got := forTerminal(`# podgate.toml

Prose.

# NAME

| key | value | default | a change takes hold | meaning |
|---|---|---|---|---|
| ` + "`check`" + ` | true or false | ` + "`true`" + ` | at once | Whether. |
| ` + "`namespace`" + ` | namespace | - | at once | Whose. |

More.
`)
	want := `
Prose.

# NAME

**check**
: Whether. (true or false; default ` + "`true`" + `; at once)

**namespace**
: Whose. (namespace; at once)


More.
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestThePageOfPodgateTomlTellsEveryKey makes the page that the package has.
func TestThePageOfPodgateTomlTellsEveryKey(t *testing.T) {
	manual, err := os.ReadFile("../doc/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	if err := run([]string{"podgate.toml", "5", "today", "podgate"}, strings.NewReader(string(manual)), &page); err != nil {
		t.Fatal(err)
	}
	keys := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(string(manual), -1)
	if len(keys) < 30 {
		t.Fatalf("the manual has %d keys", len(keys))
	}
	for _, key := range keys {
		if !strings.Contains(page.String(), "\n\\fB"+key[1]+"\\fP\n") {
			t.Errorf("%s is missing", key[1])
		}
	}
	if strings.Contains(page.String(), "\n.TS\n") {
		t.Error("there is a table, for which a terminal has no room")
	}
}
