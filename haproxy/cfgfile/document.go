// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	parser "github.com/haproxytech/client-native/v5/config-parser"
	"github.com/haproxytech/client-native/v5/config-parser/options"
	"github.com/haproxytech/client-native/v5/config-parser/types"
	"github.com/haproxytech/client-native/v5/configuration"
)

// document collects sections in client-native's parser, which prints them in a fixed
// order. After an error, which err holds, its methods do nothing.
type document struct {
	parser parser.Parser
	folder string
	rules  bool     // haproxy.Settings.Rules
	header []string // haproxy.State.HeaderNames
	spares bool     // the State has spares
	err    error
}

func newDocument(folder string) *document {
	p, err := parser.New(options.String(""))
	return &document{parser: p, folder: folder, err: err}
}

func (d *document) fail(err error) {
	d.err = errors.Join(d.err, err)
}

// sectionsMutex protects a package variable of client-native, which its parser writes
// whenever it creates a section.
var sectionsMutex sync.Mutex

func (d *document) createSection(kind parser.Section, name string) error {
	sectionsMutex.Lock()
	defer sectionsMutex.Unlock()
	return d.parser.SectionsCreate(kind, name)
}

func (d *document) addSection(kind parser.Section, name, from string, model any) {
	if d.err != nil {
		return
	}
	d.word(string(kind), name)
	if err := d.createSection(kind, name); err != nil {
		d.fail(fmt.Errorf("add %s %s: %w", kind, name, err))
		return
	}
	if err := configuration.CreateEditSection(model, kind, name, d.parser); err != nil {
		d.fail(fmt.Errorf("render %s %s: %w", kind, name, err))
	}
	if from != "" {
		if err := d.parser.SectionsDefaultsFromSet(kind, name, from); err != nil {
			d.fail(fmt.Errorf("render %s %s from %s: %w", kind, name, from, err))
		}
	}
}

// addLines adds directives that client-native's models cannot express, unchanged,
// after those of the model.
func (d *document) addLines(kind parser.Section, name string, lines []string) {
	if d.err != nil || len(lines) == 0 {
		return
	}
	raw := make([]types.UnProcessed, len(lines))
	for i, line := range lines {
		raw[i].Value = line
	}
	if err := d.parser.Set(kind, name, "", raw); err != nil {
		d.fail(fmt.Errorf("render %s %s: %w", kind, name, err))
	}
}

// set sets all lines of one directive of a frontend.
func (d *document) set(frontend, directive string, values any) {
	if d.err != nil {
		return
	}
	if err := d.parser.Set(parser.Frontends, frontend, directive, values); err != nil {
		d.fail(fmt.Errorf("render frontend %s: %s: %w", frontend, directive, err))
	}
}

// addRules adds rules to a frontend: "http-request" or "tcp-request" ones.
func addRules[Rule, Action any](d *document, frontend, directive string, rules []Rule, serialize func(Rule) (Action, error)) {
	for i, rule := range rules {
		if d.err != nil {
			return
		}
		action, err := serialize(rule)
		if err == nil {
			err = d.parser.Insert(parser.Frontends, frontend, directive, action, i)
		}
		if err != nil {
			d.fail(fmt.Errorf("render frontend %s: rule %d of %s: %w", frontend, i+1, directive, err))
		}
	}
}

func (d *document) mapFile(name string) string {
	return d.word("folder", filepath.Join(d.folder, MapFile(name)))
}

// word returns value, which must be one word of HAProxy's configuration without
// quotes: client-native escapes nothing, and a newline in a value would begin a new
// directive. The parsers of the values reject other ones before, so that an error is
// a bug in podgate.
func (d *document) word(what, value string) string {
	if !isWord(value) {
		d.fail(fmt.Errorf("%s %q contains a character that HAProxy's configuration does not allow (this is a bug in podgate, please report it)", what, value))
	}
	return value
}

func isWord(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c >= 0x7f, c == '"', c == '\'', c == '\\', c == '#':
			return false
		}
	}
	return s != ""
}
