// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"os"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// Serving returns what HAProxy would serve if it started with the present files. It
// returns the zero State if they cannot be read.
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
	r := haproxy.Running{Loaded: structure.WithSpareNames(d.ReadMap(haproxy.SparesMap).SpareNames()), Servers: map[string][]haproxy.Server{}}
	for _, name := range structure.MapNames() {
		r.Maps = append(r.Maps, d.ReadMap(name))
	}
	servers := config.Servers()
	for _, b := range r.Loaded.Backends.All() {
		r.Servers[b.Name] = servers[b.ProxyName()]
	}
	return r.State()
}

// ReadMap returns the map of that name, without entries if there is no such file.
func (d Dir) ReadMap(name string) haproxy.Map {
	text, _ := os.ReadFile(d.Path(cfgfile.MapFile(name)))
	return cfgfile.ParseMap(name, text)
}
