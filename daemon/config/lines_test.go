// SPDX-License-Identifier: Apache-2.0

package config

import (
	"maps"
	"slices"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

func TestLocate(t *testing.T) {
	tests := []struct {
		name string
		text string
		want map[string]int
	}{
		{
			"a comment with = and [ is not a key",
			"# a = 1\n#[b]\nc = 2 # d = [3\ne = 4",
			map[string]int{"c": 3, "e": 4},
		},
		{
			"each entry of a list has its own line",
			"a = [\n  1, # one ]\n\n  [2,\n 3],\n]\nb = 4",
			map[string]int{"a": 1, "a[0]": 2, "a[1]": 4, "a[1][0]": 4, "a[1][1]": 5, "b": 7},
		},
		{
			"strings hold brackets, commas, quotes and escapes",
			`a = ["]", ',"', "\"]"]` + "\nb = 1",
			map[string]int{"a": 1, "a[0]": 1, "a[1]": 1, "a[2]": 1, "b": 2},
		},
		{
			"strings of several lines, with quotes at their end",
			"a = \"\"\"\nx = 1\n[y]\\\"\"\"\"\"\nb = '''\nz = 2'''''\nc = 3",
			map[string]int{"a": 1, "b": 4, "c": 6},
		},
		{
			"dotted and quoted keys name the tables on the way",
			"a.b . c = 1\n'd e'.\"f\\u0020=g\" = 2",
			map[string]int{"a": 1, "a.b": 1, "a.b.c": 1, `"d e"`: 2, `"d e"."f =g"`: 2},
		},
		{
			"inline tables, over several lines too",
			"a = { b = 1, c = [ { d = 2 } ],\n e.f = 3, # g = 4\n}\nh = 5",
			map[string]int{"a": 1, "a.b": 1, "a.c": 1, "a.c[0]": 1, "a.c[0].d": 1, "a.e": 2, "a.e.f": 2, "h": 4},
		},
		{
			"each [[table]] has its own index, and those below it follow",
			"[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3\n[[a.e]]\n[[a.e]]\nf = 4\n[ g ]\nb = 5",
			map[string]int{
				"a": 1, "a[0]": 1, "a[0].b": 2, "a[1]": 3, "a[1].b": 4, "a[1].c": 5, "a[1].c.d": 6,
				"a[1].e": 7, "a[1].e[0]": 7, "a[1].e[1]": 8, "a[1].e[1].f": 9, "g": 10, "g.b": 11,
			},
		},
		{
			"Windows line ends and a byte order mark",
			"\ufeffa = 1\r\n[b]\r\nc = 1979-05-27 07:32:00 # x\r\nd = 2\r\n",
			map[string]int{"a": 1, "b": 2, "b.c": 3, "b.d": 4},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tree map[string]any
			if _, err := toml.Decode(tt.text, &tree); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, locate(tt.text)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// hasEmptyKey reports whether a table in v, however deep, has the key "".
func hasEmptyKey(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		_, ok := v[""]
		return ok || slices.ContainsFunc(slices.Collect(maps.Values(v)), hasEmptyKey)
	case []map[string]any:
		return slices.ContainsFunc(v, func(table map[string]any) bool { return hasEmptyKey(table) })
	case []any:
		return slices.ContainsFunc(v, hasEmptyKey)
	}
	return false
}

// FuzzLocate checks that every key and entry that the toml package decodes has a line.
func FuzzLocate(f *testing.F) {
	for _, text := range files(f) {
		f.Add(string(text))
	}
	f.Add("a = 1\n[b]\nc.d = [1, {e = '''\n'''}]\n[[f]]\n[[f.g]]\n[f.g.\"h i\"]\n")
	f.Add("\"\\\"\" = \"\"\"\"\\\"\"\"\"\"\na = {\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		var tree map[string]any
		if _, err := toml.Decode(text, &tree); err != nil || hasEmptyKey(tree) {
			return // BurntSushi/toml reads [1, {"" = 2}] as [{"" = 2}]
		}
		d := &document{lines: locate(text)}
		for name, v := range tree {
			path := join("", name)
			assertLocated(t, value{d, path, path, v})
		}
	})
}

func assertLocated(t *testing.T, v value) {
	t.Helper()
	if _, ok := v.doc.lines[v.path]; !ok {
		t.Errorf("%s has no line", v.path)
	}
	if table, ok := v.v.(map[string]any); ok {
		for name, x := range table {
			path := join(v.path, name)
			assertLocated(t, value{v.doc, path, path, x})
		}
	}
	entries, _ := v.entries()
	for _, e := range entries {
		assertLocated(t, e)
	}
}
