// SPDX-License-Identifier: Apache-2.0

package cfgfile_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// rules returns a State with Settings.Rules, and hostile text in every field that a user
// fills.
func rules() haproxy.State {
	s := shop()
	s.Settings.Rules = true
	for i, text := range hostileTexts() {
		r := hostileRoute(text, text, text, text)
		r.Order = i
		s.Routes = append(s.Routes, r)
	}
	slices.SortFunc(s.Routes, haproxy.Route.Compare)
	return s
}

// hostileTexts are texts with delimiters of the program, of maps and of configurations.
func hostileTexts() []string {
	return []string{
		"a\nhttp-request deny", "a b", "|!rule|0|x", "&=x:y&", ";b;1;", "!", "%0d%0aX: y", "'\"\\", "#", "${HOME}", "%[env(HOME)]", "\r\nX: y", "\x00\x7f\xc3\xa9",
		strings.Repeat("a", 300), strings.Repeat("\\", 5000), ",*,", "](?:)\\1", "é",
	}
}

// hostileRoute returns a Route with these texts in all fields.
func hostileRoute(name, value, expression, path string) haproxy.Route {
	changes := haproxy.HeaderChanges{
		Set: []haproxy.Header{{Name: name, Value: value}, {Name: "x-set", Value: value}}, Add: []haproxy.Header{{Name: "x-add", Value: value}}, Remove: []string{name},
	}
	match := []haproxy.ValueMatch{{Name: name, Value: value}, {Name: value, Regexp: haproxy.Regexp(expression)}}
	return haproxy.Route{
		Host: "hostile.example.com", Path: "/x", Backend: "shop_cart_80", Rewrite: haproxy.Rewrite(path),
		Conditions: &haproxy.Conditions{Method: name, Path: haproxy.Regexp(expression), Headers: match, Query: match},
		Actions: &haproxy.Actions{
			Targets: []haproxy.Target{{Backend: "shop_cart_80", Weight: 1, Request: changes, Response: changes}, {Weight: 2}},
			Host:    value, FullPath: path, Request: changes, Response: changes, Timeout: time.Duration(len(value)) * time.Second,
			CORS: &haproxy.CORS{Origins: []string{value, "https://" + name}, Methods: []string{name}, Headers: []string{value}, Expose: []string{path}},
		},
	}
}

// FuzzRules asserts that no line of a map depends on the values of another Route, and that
// ParseRoutes returns the Routes of the maps.
func FuzzRules(f *testing.F) {
	for _, text := range hostileTexts() {
		f.Add(text, text, text, text)
	}
	f.Add("x-a", "v1", "[a-z]+", "/new")
	f.Fuzz(func(t *testing.T, name, value, expression, path string) {
		for _, text := range []*string{&name, &value, &expression, &path} {
			*text = strings.ToValidUTF8(*text, "")
		}
		hostile := hostileRoute(name, value, expression, path)
		other := haproxy.Route{Host: "other.example.com", Conditions: &haproxy.Conditions{Method: "GET"}, Actions: &haproxy.Actions{Answer: 404}}
		s := shop()
		s.Settings.Rules = true
		s.Routes = []haproxy.Route{other}
		alone := s.Maps()
		s.Routes = []haproxy.Route{hostile, other}
		maps := s.Maps()
		for i, m := range alone {
			for _, e := range m.Entries {
				if !slices.Contains(maps[i].Entries, e) {
					t.Errorf("map %s: %v is not there any more", m.Name, e)
				}
			}
		}
		texts, err := cfgfile.RenderMaps(maps)
		if err != nil {
			t.Fatal(err)
		}
		var parsed []haproxy.Map
		for _, m := range maps {
			again := cfgfile.ParseMap(m.Name, texts[cfgfile.MapFile(m.Name)])
			if !slices.Equal(again.Entries, m.Entries) {
				t.Errorf("map %s is read as %q, want %q", m.Name, again.Entries, m.Entries)
			}
			parsed = append(parsed, again)
		}
		if !hostile.Fits() {
			return
		}
		routes := haproxy.ParseRoutes(parsed)
		if len(routes) != 2 || !routes[1].Equal(other) || !reflect.DeepEqual(routes[0].Conditions, hostile.Conditions) || !reflect.DeepEqual(routes[0].Actions, hostile.Actions) {
			t.Errorf("got routes\n%v\nwant\n%v", routes, s.Routes)
		}
	})
}
