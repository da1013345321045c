// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"slices"
	"strings"
	"time"
)

// Counters is what podgate has done since it was started. The loop counts, and
// hands out copies.
type Counters struct {
	Applies       [2][2]uint64 // by Method and Outcome
	Reloads       [7]uint64    // by index into ReloadReasons
	DriftFound    uint64
	DriftRepaired uint64
	LastApply     time.Time // that changed something and went well; zero for none
	Latency       [2]Histogram
}

// Method is how something is applied.
type Method int

// The methods.
const (
	Runtime Method = iota
	Reload
)

// Methods names them for labels.
func Methods() []string { return []string{"runtime", "reload"} }

// Outcome is how an apply ended.
type Outcome int

// The outcomes. Failed is also of what HAProxy refused in part.
const (
	OK Outcome = iota
	Failed
)

// Outcomes names them for labels.
func Outcomes() []string { return []string{"ok", "failed"} }

// ReloadReasons are the kinds of reasons for a reload, the weightiest first: a
// reload counts for the first that it has.
func ReloadReasons() []string {
	return []string{"first-load", "foreign-configuration", "settings", "frontend", "backend-changed", "backend-new", "other"}
}

// ReloadReason is which of ReloadReasons the reasons of one reload come to.
func ReloadReason(reasons []string) int {
	kinds := ReloadReasons()
	first := len(kinds) - 1
	for _, reason := range reasons {
		first = min(first, slices.Index(kinds, reloadReason(reason)))
	}
	return first
}

func reloadReason(text string) string {
	switch {
	case strings.HasPrefix(text, "HAProxy has not loaded"):
		return "first-load"
	case strings.HasPrefix(text, "HAProxy runs configuration"):
		return "foreign-configuration"
	case text == "settings changed":
		return "settings"
	case strings.HasPrefix(text, "frontend "):
		return "frontend"
	case strings.HasPrefix(text, "backend ") && strings.HasSuffix(text, " is new"):
		return "backend-new"
	case strings.HasPrefix(text, "backend "):
		return "backend-changed"
	}
	return "other"
}

// Histogram counts durations in buckets.
type Histogram struct {
	Counts [14]uint64 // of each bucket alone; the last is for all that is longer
	Sum    time.Duration
}

// Buckets are the upper bounds of a Histogram's buckets but the last.
func Buckets() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{
		5 * ms, 10 * ms, 20 * ms, 50 * ms, 100 * ms, 200 * ms, 500 * ms,
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
	}
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	i, _ := slices.BinarySearch(Buckets(), d)
	h.Counts[i]++
	h.Sum += d
}
