// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

const unknownMap = "Unknown map identifier"

// Maps returns podgate's maps as HAProxy uses them now, in the order of
// haproxy.MapNames and each sorted by key (management.txt "show map"). A process with
// Settings.Rules also has those of haproxy.RuleMapNames. If a key occurs
// twice, the first line counts, as in HAProxy. A map that the loaded configuration does
// not use is empty.
func (x exchanger) Maps(ctx context.Context) ([]haproxy.Map, error) {
	maps, known, err := x.mapsOf(ctx, append(haproxy.MapNames(), haproxy.RulesMap))
	if err != nil {
		return nil, err
	}
	if !known[haproxy.RulesMap] {
		return maps[:len(maps)-1], nil
	}
	rules, _, err := x.mapsOf(ctx, haproxy.RuleMapNames())
	return append(maps[:len(maps)-1], rules...), err
}

// mapsOf returns the maps of these names, and which of them HAProxy knows.
func (x exchanger) mapsOf(ctx context.Context, names []string) (maps []haproxy.Map, known map[string]bool, err error) {
	var commands []string
	for _, name := range names {
		path, err := x.mapPath(name)
		if err != nil {
			return nil, nil, err
		}
		commands = append(commands, "show map "+path)
	}
	replies, err := x.exchangeAll(ctx, commands)
	if err != nil {
		return nil, nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	known = map[string]bool{}
	for i, name := range names {
		m := haproxy.Map{Name: name}
		if known[name] = !strings.HasPrefix(replies[i], unknownMap); known[name] {
			if m.Entries, err = parseMap(replies[i], m.Ordered()); err != nil {
				return nil, nil, fmt.Errorf("observe HAProxy: %s: %w", commands[i], err)
			}
		}
		maps = append(maps, m)
	}
	return maps, known, nil
}

// mapPath returns HAProxy's name for a map, which is its path as in the configuration.
func (x exchanger) mapPath(name string) (string, error) {
	path := filepath.Join(x.folder, cfgfile.MapFile(name))
	return path, checkWord("map file", path)
}

// parseMap parses lines of "0x55e5afa6b440 KEY VALUE". It sorts them by key, unless their
// order counts.
func parseMap(reply string, ordered bool) ([]haproxy.MapEntry, error) {
	var entries []haproxy.MapEntry
	for line := range strings.Lines(reply) {
		line = strings.TrimSuffix(line, "\n")
		pointer, entry, ok := strings.Cut(line, " ")
		key, value, _ := strings.Cut(entry, " ")
		if !ok || !strings.HasPrefix(pointer, "0x") {
			return nil, fmt.Errorf("got %q, want a pointer, a key and a value", line)
		}
		entries = append(entries, haproxy.MapEntry{Key: key, Value: value})
	}
	if ordered {
		return entries, nil
	}
	slices.SortStableFunc(entries, compareKeys)
	return slices.CompactFunc(entries, func(a, b haproxy.MapEntry) bool { return a.Key == b.Key }), nil
}

func compareKeys(a, b haproxy.MapEntry) int { return cmp.Compare(a.Key, b.Key) }
