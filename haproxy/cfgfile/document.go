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

// document collects sections in client-native's parser, which writes them out
// in a fixed order. The first thing that goes wrong is kept in err, after which
// nothing more is of use.
type document struct {
	parser parser.Parser
	folder string
	err    error
}

func newDocument(folder string) *document {
	p, err := parser.New(options.String(""))
	return &document{parser: p, folder: folder, err: err}
}

func (d *document) fail(err error) {
	d.err = errors.Join(d.err, err)
}

// sectionsMutex guards a package variable of client-native's, which its parser
// writes whenever it creates a section.
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

// addLines adds directives that client-native's models do not know, word for
// word, behind those that they do.
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

func (d *document) mapFile(name string) string {
	return d.word("folder", filepath.Join(d.folder, MapFile(name)))
}

// word returns value, which must be one word of HAProxy's configuration without
// any quoting: client-native escapes nothing, and a newline in a value would be
// a new directive. Whoever made the State has checked that already; this is the
// last guard.
func (d *document) word(what, value string) string {
	if !isWord(value) {
		d.fail(fmt.Errorf("%s %q contains a character that HAProxy's configuration cannot (this is a bug in podgate, please report it)", what, value))
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
