// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"strings"
	"time"
)

// shownFailures is how many failed requests are shown.
const shownFailures = 12

// summary is the whole run in a few lines.
func summary(c count) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\npodgate demo, %v:\n\n", c.elapsed.Round(time.Second))
	line := func(name string, n int, more string) {
		fmt.Fprintf(&b, "  %-18s%9d%s\n", name, n, more)
	}
	line("requests", c.Sent, perSecond(c.Sent, c.elapsed))
	line("failed", c.Failed, "")
	var failures []note
	for _, f := range c.Failures[:min(shownFailures, len(c.Failures))] {
		failures = append(failures, note{f.At.Sub(c.began), fmt.Sprintf("%s: %v", f.Request, f.Err)})
	}
	list(&b, failures, c.Failed)
	line("endpoint changes", c.endpoints, "")
	line("Services added", c.services, "")
	line("runtime applies", c.applies, "")
	line("reloads", c.reloads, "")
	list(&b, c.reasons, c.reloads)
	return b.String()
}

func perSecond(n int, d time.Duration) string {
	if d < time.Second {
		return ""
	}
	return fmt.Sprintf("  (%.0f a second)", float64(n)/d.Seconds())
}

// list prints the notes that were kept, and how many more there were.
func list(b *strings.Builder, notes []note, all int) {
	for _, n := range notes {
		fmt.Fprintf(b, "    %7s %s\n", clock(n.at), n.text)
	}
	if more := all - len(notes); more > 0 {
		fmt.Fprintf(b, "            and %d more\n", more)
	}
}
