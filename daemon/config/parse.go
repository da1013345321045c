// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
)

// Load reads the file at path, which may be relative, and finds the error files in
// haproxy.error_files. It returns all mistakes in the file as Errors; any other
// error wraps that of package os. It may be called concurrently.
func Load(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	d, err := decode(path, text)
	if err != nil {
		return nil, err
	}
	c := d.config()
	c.HAProxy.ErrorFiles = d.findErrorFiles(c.HAProxy.ErrorFolder)
	c.Sum = sha256.Sum256(text)
	return d.result(c)
}

// ControlSocket returns admin.socket of the file at path, or its default if the
// file does not set it or is not TOML. It ignores mistakes in other keys, because
// operators use the socket when the file has mistakes.
func ControlSocket(path string) string {
	c := Default()
	if text, err := os.ReadFile(path); err == nil {
		if d, err := decode(path, text); err == nil {
			c = d.config()
		}
	}
	return c.Admin.Socket
}

// Parse parses text as podgate.toml. Errors use file as its name. It does no I/O:
// HAProxy.ErrorFiles is empty. On failure it returns an Errors.
func Parse(file string, text []byte) (*Config, error) {
	d, err := decode(file, text)
	if err != nil {
		return nil, err
	}
	return d.result(d.config())
}

// config returns the document as a Config, with the default for every rejected key.
func (d *document) config() *Config {
	c := Default()
	d.profile().apply(c) // first, because the file overrides it
	d.compatibility().apply(c)
	keys := c.keys()
	for name, v := range d.tree {
		path := join("", name)
		switch {
		case name == grantSection:
			c.Grants = d.grants(value{d, path, path, v})
		case slices.ContainsFunc(keys, func(k key) bool { return k.section == name }):
			d.section(value{d, path, path, v}, keys)
		default:
			d.rejectUnknown(path, "", name, v)
		}
	}
	d.check(c)
	return c
}

// section parses the table v into the fields of its keys. It reports whether v is a
// table.
func (d *document) section(v value, keys []key) bool {
	table, ok := v.v.(map[string]any)
	if !ok {
		v.reject("%s is not a section (write [%s] and its keys below it)", literal(v.v), v.key)
		return false
	}
	for name, x := range table {
		i := slices.IndexFunc(keys, func(k key) bool { return k.section == v.key && k.name == name })
		if i < 0 {
			d.rejectUnknown(join(v.path, name), v.key, name, x)
			continue
		}
		keys[i].field.set(value{d, join(v.path, name), join(v.key, name), x})
	}
	return true
}

// grants parses every [[grant]].
func (d *document) grants(v value) []Grant {
	entries, ok := v.entries()
	if !ok {
		v.reject("is not a list of sections (write [[grant]])")
		return nil
	}
	var grants []Grant
	for _, e := range entries {
		var g Grant
		if d.section(e, grantKeys(&g)) {
			d.checkGrant(e)
		}
		grants = append(grants, g)
	}
	return grants
}

// renamedKeys returns the current name of each key that had another name in an
// earlier version, both as "section.name".
func renamedKeys() map[string]string {
	return map[string]string{
		"haproxy.retired_workers": "haproxy.max_worker_reloads", // 0.2.0
	}
}

// rejectUnknown rejects a key, or a section, that does not exist: with its new
// name if it was renamed, else with the name that was probably meant.
func (d *document) rejectUnknown(path, section, name string, v any) {
	if renamed, ok := renamedKeys()[join(section, name)]; ok {
		d.reject(path, join(section, name), "was renamed to %s", renamed)
		return
	}
	var here, all, sections []string
	homes := make(map[string][]string) // name of a key -> with its sections
	for _, k := range allKeys(new(Config)) {
		if k.section == section {
			here = append(here, k.name)
		}
		if !slices.Contains(sections, k.section) {
			sections = append(sections, k.section)
		}
		all = append(all, k.name)
		homes[k.name] = append(homes[k.name], k.section+"."+k.name)
	}
	if _, isTable := v.(map[string]any); section == "" && isTable {
		d.reject(path, path, "unknown section%s", didYouMean(name, sections))
		return
	}
	hint := didYouMean(name, here)
	if home := homes[Nearest(name, all)]; hint == "" && len(home) == 1 {
		hint = fmt.Sprintf(" (did you mean %q?)", home[0])
	}
	d.reject(path, join(section, name), "unknown key%s", hint)
}
