// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTableBecomesParagraphs(t *testing.T) {
	got := forTerminal(`# podgate.toml

Prose, and [tls.md](tls.md).

# NAME

| profile | client address | sets |
|---|---|---|
| ` + "`aws-nlb`" + ` | preserved | ` + "`drain_wait`" + ` |

| key | value | default | a change takes effect | meaning |
|---|---|---|---|---|
| ` + "`check`" + ` | true or false | ` + "`true`" + ` | immediately | Whether. |
| ` + "`namespace`" + ` | namespace | - | immediately | Whose. |

More.
`)
	want := `
Prose, and ` + "`/usr/share/doc/podgate/tls.md`" + `.

# NAME

**aws-nlb**
: ` + "`drain_wait`" + ` (client address preserved)


**check**
: Whether. (true or false; default ` + "`true`" + `; takes effect immediately)

**namespace**
: Whose. (namespace; takes effect immediately)


More.
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestConfigurationPageHasEveryKey converts configuration.md.
func TestConfigurationPageHasEveryKey(t *testing.T) {
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
		t.Error("the page has a table")
	}
}
