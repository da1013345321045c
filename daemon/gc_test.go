// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"runtime"
	"testing"
)

func TestThePercentageOfTheGarbageCollector(t *testing.T) {
	for _, row := range []struct {
		name  string
		inUse uint64
		want  int
	}{
		{"there was no collection yet", 0, 100},
		{"a small cluster", 3 << 20, 100},
		{"a thousand Services", 10 << 20, 50},
		{"a hundred thousand endpoints", 32 << 20, 15},
		{"a larger heap", 1 << 30, 15},
	} {
		if got := gcPercent(row.inUse); got != row.want {
			t.Errorf("%s: %d%%, want %d%%", row.name, got, row.want)
		}
	}
	runtime.GC()
	if heapInUse() == 0 {
		t.Error("the size of the live heap is unknown")
	}
}
