// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"slices"
	"strconv"
	"strings"

	"podgate/haproxy"
)

// Config is the part of a rendered configuration file that podgate reads. Its strings
// share the memory of the parsed text.
type Config struct {
	Generation  string
	RelaySecret string    // of haproxy.Settings; "" if the file has no secret
	Sections    []Section // in the order of the file
}

// Section is one section of a configuration file.
type Section struct {
	Kind  string   // "backend"
	Name  string   // "" for the global section
	From  string   // the defaults section that it inherits; "" if it names none
	Lines []string // without indentation, comments and empty lines
}

// Parse parses a configuration file of Render. For another file it returns the parts
// that look alike; it does not fail.
func Parse(text []byte) Config {
	var c Config
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch content := strings.TrimLeft(line, " "); {
		case content == "" || strings.HasPrefix(content, "#"):
		case content == line:
			c.Sections = append(c.Sections, parseHeader(line))
		case len(c.Sections) > 0:
			s := &c.Sections[len(c.Sections)-1]
			s.Lines = append(s.Lines, content)
			c.parseLine(s.Kind, content)
		}
	}
	return c
}

// parseHeader is the inverse of Header. Only a section that has a name inherits.
func parseHeader(line string) Section {
	kind, rest, _ := strings.Cut(line, " ")
	name, from, _ := strings.Cut(rest, " from ")
	if name == "" {
		return Section{Kind: kind, Name: rest}
	}
	return Section{Kind: kind, Name: name, From: from}
}

func (c *Config) parseLine(kind, line string) {
	word, value, _ := strings.Cut(line, " ")
	switch {
	case kind == "global" && word == "description":
		c.Generation = strings.TrimPrefix(value, "gen=")
	case kind == "frontend" && word == secretDirective:
		c.RelaySecret = value
	}
}

// Servers returns the servers of each of podgate's backends, sorted by address and in
// State Ready: the file does not contain which of them drain.
func (c Config) Servers() map[string][]haproxy.Server {
	servers := map[string][]haproxy.Server{}
	for _, s := range c.Sections {
		if s.Kind != "backend" {
			continue
		}
		for _, line := range s.Lines {
			if server, ok := parseServer(line); ok {
				servers[s.Name] = append(servers[s.Name], server)
			}
		}
	}
	return servers
}

// parseServer is the inverse of appendServerLine. It returns false for another line,
// and for a server whose name is not its address.
func parseServer(line string) (haproxy.Server, bool) {
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != "server" {
		return haproxy.Server{}, false
	}
	addr, ok := haproxy.ParseServerName(words[1])
	server := haproxy.Server{Addr: addr, State: haproxy.Ready}
	if i := slices.Index(words, "weight"); i > 0 && i+1 < len(words) {
		weight, _ := strconv.ParseUint(words[i+1], 10, 16)
		server.Weight = uint16(weight)
	}
	return server, ok
}

// IsClass reports whether the section is the defaults section of a class.
func (s Section) IsClass() bool {
	return s.Kind == "defaults" && (s.From == httpDefaults || s.From == tcpDefaults)
}

// Header is the first line of the section: "backend shop_cart_80 from podgate-http".
func (s Section) Header() string {
	header := s.Kind
	if s.Name != "" {
		header += " " + s.Name
	}
	if s.From != "" {
		header += " from " + s.From
	}
	return header
}

// ParseMap parses a file of RenderMaps as the map of that name. It skips lines that
// are not a key and a value.
func ParseMap(name string, text []byte) haproxy.Map {
	m := haproxy.Map{Name: name}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), " "); ok {
			m.Entries = append(m.Entries, haproxy.MapEntry{Key: key, Value: value})
		}
	}
	return m
}
