// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"podgate/daemon/config"
	"podgate/haproxy/runtime"
)

func TestProcessThatChangedIsNoTrouble(t *testing.T) {
	var log strings.Builder
	e := newEdge(&config.Config{}, slog.New(slog.NewTextHandler(&log, nil)))
	e.tell(fmt.Errorf("apply to HAProxy: %w", runtime.ErrProcessChanged))
	want := `level=INFO msg="HAProxy was reloaded by someone else during a change; retrying"`
	if !strings.Contains(log.String(), want) || e.trouble.Reason() != "" {
		t.Errorf("logged %q, want %s; trouble %q, want none", log.String(), want, e.trouble.Reason())
	}
}
