// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"podgate/haproxy"
)

const (
	// swapTries is how often swapMap fills a new version if another client commits one
	// first, as "podgate drain" does while podgate runs.
	swapTries = 10
	// swapPause is the longest pause before the second try. It grows with each try and is
	// random, so that two clients do not overtake each other again and again.
	swapPause = 2 * time.Millisecond
)

// holds is the beginning of fillMap's text for a version with other entries than were
// added to it.
const holds = "HAProxy holds "

// overtaken reports whether HAProxy may have deleted a version because another client
// committed a later one first.
func overtaken(reply string) bool {
	return reply == "Version number out of range." || strings.HasPrefix(reply, holds)
}

// swapMaps replaces the maps, and returns those that were not replaced. Commands with a
// payload need a new connection, so it checks before and after them that this reaches
// the pinned process. The maps of another process could lead to servers that it does
// not have.
func (x exchanger) swapMaps(ctx context.Context, all []haproxy.Map, a *Applied) (rejected []haproxy.Map, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	if err := x.unchanged(ctx); err != nil {
		return nil, err
	}
	lacking := false // content that values of the next maps lead to
	for _, m := range all {
		if lacking && m.LeadsToRules() {
			rejected = append(rejected, m)
			continue
		}
		swapped, err := x.unpinned().swapMap(ctx, m, a)
		if err != nil {
			return nil, fmt.Errorf("map %s: %w", m.Name, err)
		}
		if !swapped {
			rejected = append(rejected, m)
			lacking = lacking || m.HoldsRules()
		}
	}
	return rejected, x.unchanged(ctx)
}

// swapMap replaces the whole map atomically: it fills a new version, reads that back,
// and commits it (management.txt "prepare map", "add map @<ver>", "commit map"). It
// rejects and skips entries that are not a line of a map. After any other rejection the
// map is unchanged. It reports whether the map was replaced.
func (x exchanger) swapMap(ctx context.Context, m haproxy.Map, a *Applied) (bool, error) {
	path, err := x.mapPath(m.Name)
	if err != nil {
		return false, err
	}
	l, err := x.limits(ctx)
	if err != nil {
		return false, err
	}
	entries := a.rejectEntries(m, l.payload)
	content := haproxy.Map{Name: m.Name, Entries: entries}
	reply, err := x.trySwap(ctx, a, path, content, l)
	for tries := 1; err == nil && overtaken(reply) && tries < swapTries; tries++ {
		time.Sleep(rand.N(time.Duration(tries) * swapPause))
		reply, err = x.trySwap(ctx, a, path, content, l)
	}
	if err != nil {
		return false, err
	}
	if reply != "" {
		a.Rejected = append(a.Rejected, Rejection{Map: m.Name, Reply: reply, AtReload: true})
	}
	return reply == "", nil
}

// trySwap fills a new version and commits it. It returns the reason if HAProxy rejects
// that, else "".
func (x exchanger) trySwap(ctx context.Context, a *Applied, path string, m haproxy.Map, l limits) (string, error) {
	reply, err := x.command(ctx, a, "prepare map "+path)
	if err != nil {
		return "", err
	}
	var version int
	if _, err := fmt.Sscanf(reply, "New version created: %d", &version); err != nil {
		return reply, nil
	}
	at := fmt.Sprintf("@%d %s", version, path)
	reply, err = x.fillMap(ctx, a, at, m, l)
	if err == nil && reply == "" {
		reply, err = x.command(ctx, a, "commit map "+at)
	}
	if err == nil && reply != "" {
		_, err = x.command(ctx, a, "clear map "+at)
	}
	return reply, err
}

// fillMap adds the entries to a new version and checks that it contains all of them. It
// returns the reason if HAProxy rejects that, else "".
func (x exchanger) fillMap(ctx context.Context, a *Applied, at string, m haproxy.Map, l limits) (string, error) {
	for _, payload := range payloads(m.Entries, l.payload) {
		a.Commands++
		reply, err := x.exchangePayload(ctx, "add map "+at, payload)
		if errors.Is(err, errTooLarge) {
			reply, err = err.Error(), nil
		}
		if err != nil || reply != "" {
			return reply, err
		}
	}
	reply, err := x.command(ctx, a, "show map "+at)
	if err != nil {
		return "", err
	}
	got, err := parseMap(reply, m.Ordered())
	if err != nil {
		return err.Error(), nil
	}
	if !slices.Equal(got, m.Entries) {
		return fmt.Sprintf(holds+"%d entries after %d were added", len(got), len(m.Entries)), nil
	}
	return "", nil
}

// payloads returns the lines of entries in parts of at most so many bytes.
func payloads(entries []haproxy.MapEntry, most int) (parts []string) {
	var lines strings.Builder
	for i, e := range entries {
		fmt.Fprintf(&lines, "%s %s\n", e.Key, e.Value)
		if i+1 == len(entries) || lines.Len()+entrySize(entries[i+1]) > most {
			parts = append(parts, lines.String())
			lines.Reset()
		}
	}
	return parts
}

func (x exchanger) command(ctx context.Context, a *Applied, command string) (string, error) {
	a.Commands++
	replies, err := x.exchange(ctx, command)
	if err != nil {
		return "", err
	}
	return replies[0], nil
}

func entrySize(e haproxy.MapEntry) int { return len(e.Key) + len(e.Value) + len(" \n") }

// rejectEntries returns the entries of m, sorted unless their order counts. It rejects and
// omits those that are not a line of a map, or longer than HAProxy reads.
func (a *Applied) rejectEntries(m haproxy.Map, most int) []haproxy.MapEntry {
	var entries []haproxy.MapEntry
	for _, e := range m.Entries {
		if err := checkEntry(e, most); err != nil {
			a.rejectMap(m.Name, err.Error())
			continue
		}
		entries = append(entries, e)
	}
	if m.Ordered() {
		return entries
	}
	slices.SortStableFunc(entries, compareKeys)
	return slices.CompactFunc(entries, func(a, b haproxy.MapEntry) bool { return a.Key == b.Key })
}

func checkEntry(e haproxy.MapEntry, most int) error {
	blank := func(r rune) bool { return r <= ' ' || r == 0x7f }
	switch {
	case e.Key == "" || e.Value == "":
		return fmt.Errorf("entry %q %q has no key or no value", e.Key, e.Value)
	case strings.ContainsFunc(e.Key+e.Value, blank) || strings.HasPrefix(e.Key, "#"):
		return fmt.Errorf("entry %q %q is not a line of a map", e.Key, e.Value)
	case entrySize(e) > most:
		return fmt.Errorf("entry %.40q... of %d bytes is longer than HAProxy reads", e.Key, entrySize(e))
	}
	return nil
}
