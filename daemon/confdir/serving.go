// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"os"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// Serving is what HAProxy would serve if it started with the files as they are:
// what was in service last, for a podgate that finds no HAProxy. It is empty
// where the files do not tell.
func (d Dir) Serving() haproxy.State {
	text, err := os.ReadFile(d.Path(cfgfile.ConfigFile))
	if err != nil {
		return haproxy.State{}
	}
	config := cfgfile.Parse(text)
	structure, ok := d.Loaded(config.Generation)
	if !ok {
		return haproxy.State{}
	}
	r := haproxy.Running{Loaded: structure, Servers: config.Servers()}
	for _, name := range haproxy.MapNames() {
		r.Maps = append(r.Maps, d.ReadMap(name))
	}
	return r.State()
}

// ReadMap returns the map of that name, without entries if there is no such file.
func (d Dir) ReadMap(name string) haproxy.Map {
	text, _ := os.ReadFile(d.Path(cfgfile.MapFile(name)))
	return cfgfile.ParseMap(name, text)
}
