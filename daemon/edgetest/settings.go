// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// setting is a key of podgate.toml and its value as it is written there.
type setting struct{ section, key, value string }

// Set has Configure write a key of podgate.toml, such as haproxy.reload_interval.
// The value is a bool, a number, a text or a slice of these, or a fmt.Stringer; nil
// removes the key.
func (e *Edge) Set(key string, value any) {
	section, name, _ := strings.Cut(key, ".")
	if value == nil {
		e.settings = slices.DeleteFunc(e.settings, func(s setting) bool { return s.section == section && s.key == name })
		return
	}
	e.set(section, name, literal(value))
}

func (e *Edge) set(section, key, value string) {
	i := slices.IndexFunc(e.settings, func(s setting) bool { return s.section == section && s.key == key })
	if i < 0 {
		i = len(e.settings)
		e.settings = append(e.settings, setting{section: section, key: key})
	}
	e.settings[i].value = value
}

// literal is a value in TOML, which takes JSON's.
func literal(value any) string {
	if v, ok := value.(fmt.Stringer); ok {
		value = v.String()
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // for a type that podgate.toml does not have
	}
	return string(text)
}

// setHAProxy sets the keys that have podgate speak to HAProxy.
func (e *Edge) setHAProxy() {
	for line := range strings.Lines(e.HAProxy.Section()) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			e.set("haproxy", key, value)
		}
	}
}

// Configure writes podgate.toml: what was Set, followed by more sections.
func (e *Edge) Configure(more string) error {
	slices.SortFunc(e.settings, func(a, b setting) int {
		return cmp.Or(strings.Compare(a.section, b.section), strings.Compare(a.key, b.key))
	})
	var text strings.Builder
	section := ""
	for _, s := range e.settings {
		if s.section != section {
			section = s.section
			fmt.Fprintf(&text, "[%s]\n", section)
		}
		fmt.Fprintf(&text, "%s = %s\n", s.key, s.value)
	}
	return os.WriteFile(e.TOML, []byte(text.String()+more), 0o600)
}
