// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// summary is the whole run in a few lines.
func summary(c count) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\npodgate demo, %v:\n\n", c.elapsed.Round(time.Second))
	line := func(name string, n int, more string) {
		fmt.Fprintf(&b, "  %-18s%9d%s\n", name, n, more)
	}
	line("requests", c.requests, perSecond(c.requests, c.elapsed))
	line("failed", c.failed, "")
	list(&b, c.failures, c.failed)
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

// list prints the notes that were kept of all.
func list(b *strings.Builder, notes []note, all int) {
	for _, n := range notes {
		fmt.Fprintf(b, "    %7s %s\n", clock(n.at), n.text)
	}
	if more := all - len(notes); more > 0 {
		fmt.Fprintf(b, "            and %d more\n", more)
	}
}

// verdict is the error that a run ends with, nil for none.
func verdict(c count) error {
	switch {
	case c.failed > 0:
		return fmt.Errorf("%d of %d requests failed", c.failed, c.requests)
	case c.requests == 0:
		return errors.New("no request was served")
	}
	return nil
}
