// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"os"
	"path/filepath"
	"strings"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// Serving is what HAProxy would serve if it started with the files as they are:
// what was in service last, for a podgate that finds no HAProxy. It is empty
// where the files do not tell.
func (d Dir) Serving() haproxy.State {
	config, err := os.ReadFile(filepath.Join(string(d), cfgfile.ConfigFile))
	if err != nil {
		return haproxy.State{}
	}
	generation, servers := readServers(string(config))
	structure, ok := d.Loaded(generation)
	if !ok {
		return haproxy.State{}
	}
	r := haproxy.Running{Loaded: structure, Servers: servers}
	for _, name := range haproxy.MapNames() {
		text, _ := os.ReadFile(filepath.Join(string(d), cfgfile.MapFile(name)))
		m := haproxy.Map{Name: name}
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				m.Entries = append(m.Entries, haproxy.MapEntry{Key: key, Value: value})
			}
		}
		r.Maps = append(r.Maps, m)
	}
	return r.State()
}

// readServers finds generation and servers in a configuration of ours.
func readServers(config string) (generation string, servers map[string][]haproxy.Server) {
	servers = map[string][]haproxy.Server{}
	backend := ""
	for line := range strings.Lines(config) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "description":
			generation = strings.TrimPrefix(words[1], "gen=")
		case "backend":
			backend = words[1]
		case "server":
			if addr, ours := haproxy.ParseServerName(words[1]); ours {
				servers[backend] = append(servers[backend], haproxy.Server{Addr: addr, State: haproxy.Ready})
			}
		}
	}
	return generation, servers
}
