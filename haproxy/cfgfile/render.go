// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"podgate/haproxy"
)

// ConfigFile is the name of the configuration file in our folder.
const ConfigFile = "podgate.cfg"

// ServerStateFile is the name of the file in our folder from which HAProxy takes
// the health of servers and which of them drain (configuration.txt
// "server-state-file").
const ServerStateFile = "servers.state"

// MapFile is the file name of one of haproxy.MapNames.
func MapFile(name string) string { return name + ".map" }

// Files is a State as HAProxy reads it.
type Files struct {
	Config []byte
	// Generation is a hash of all that only a reload can change: of Config
	// without its servers, and without light backends where these come and go at
	// runtime. HAProxy shows it in "show info" as "gen=...".
	Generation string
	Maps       map[string][]byte // by file name
	CrtList    []byte            // nil where no frontend ends TLS
}

// Render returns the files of s, deterministic to the byte. Folder is the
// absolute path of the folder that will hold them. The error names what in s
// cannot be rendered; there are no Files then. It may be called concurrently.
func Render(s haproxy.State, folder string) (Files, error) {
	s = s.Pinned()
	d := newDocument(folder)
	d.addBaseDefaults(s.Settings)
	for _, p := range classes(s) {
		d.addClass(p)
	}
	for _, f := range s.Frontends {
		d.addFrontend(f, s.Settings)
	}
	structure := sha256.New()
	backends := backendWriter{doc: d, params: map[haproxy.Options]string{}}
	if len(s.Settings.Peers) > 0 {
		backends.shared = " peers " + PeersSection
	}
	heads, size := make([]string, len(s.Backends)), 0
	for i, b := range s.Backends {
		heads[i] = backends.head(b)
		params := backends.serverParams(b.Options)
		if !s.RuntimeBackends || !b.Light() {
			fmt.Fprintf(structure, "%s%s\n", heads[i], params)
		}
		size += len(heads[i]) + len(b.Servers)*(serverLineSize+len(params))
	}
	if s.RuntimeBackends {
		fmt.Fprintf(structure, "edition %s\n%s", s.Edition, backends.sample())
	}
	peers := d.peers(s.Settings)
	if d.err != nil {
		return Files{}, d.err
	}
	sections := peers + d.parser.String()
	global := d.globalLines(s.Settings)
	structure.Write([]byte(global + sections))
	generation := fmt.Sprintf("%x", structure.Sum(nil)[:6])
	var config bytes.Buffer // megabytes, in one piece
	config.Grow(len(header) + len(global) + len(sections) + size + 100)
	fmt.Fprintf(&config, "%s\nglobal\n  description gen=%s\n%s%s", header, generation, global, sections)
	for i, b := range s.Backends {
		config.WriteString(heads[i])
		backends.writeServers(&config, b)
	}

	texts, err := RenderMaps(s.Maps())
	if err != nil {
		return Files{}, err
	}
	crtList, err := RenderCrtList(s, folder)
	if err != nil {
		return Files{}, err
	}
	return Files{Config: config.Bytes(), Generation: generation, Maps: texts, CrtList: crtList}, nil
}

// serverLineSize is how long the line of an IPv4 server is, without its
// parameters.
const serverLineSize = len("  server 255.255.255.255:65535 255.255.255.255:65535  id 2147483647\n")

const header = `# Written by podgate; what is changed here by hand is lost.
# Servers and maps are also changed at runtime: "show servers state" tells what runs.
`

// globalLines are those of our global section, which HAProxy merges with the
// operator's.
func (d *document) globalLines(s haproxy.Settings) string {
	lines := fmt.Sprintf("  server-state-file %s\n", d.word("folder", filepath.Join(d.folder, ServerStateFile)))
	if s.HardStopAfter != 0 {
		lines += fmt.Sprintf("  hard-stop-after %d\n", s.HardStopAfter.Milliseconds())
	}
	if s.RetiredWorkers != 0 {
		lines += fmt.Sprintf("  mworker-max-reloads %d\n", s.RetiredWorkers)
	}
	return lines
}

// PeersSection is the name of the peers, the same on every edge node.
const PeersSection = "podgate"

// peers is the section of those that share stick tables.
func (d *document) peers(s haproxy.Settings) string {
	if len(s.Peers) == 0 {
		return ""
	}
	text := "\npeers " + PeersSection + "\n"
	for _, p := range s.Peers {
		text += fmt.Sprintf("  peer %s %s\n", d.word("peer", p.Name), p.Addr)
	}
	return text
}

// classes are the distinct policies, in the order of their names.
func classes(s haproxy.State) []haproxy.Policy {
	byName := map[string]haproxy.Policy{}
	for _, p := range s.Classes {
		byName[Class(p)] = p
	}
	for _, b := range s.Backends {
		byName[Class(b.Policy)] = b.Policy
	}
	var policies []haproxy.Policy
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		policies = append(policies, byName[name])
	}
	return policies
}

// backendWriter writes backend sections: a header of few lines and many equal
// server lines, for which client-native renders the parameters once.
type backendWriter struct {
	doc    *document
	params map[haproxy.Options]string
	shared string // behind a stick table that the peers share
}

func (w *backendWriter) serverParams(o haproxy.Options) string {
	p, ok := w.params[o]
	if !ok {
		p = serverParams(o)
		w.params[o] = p
	}
	return p
}

// head is the section without its servers.
func (w *backendWriter) head(b *haproxy.Backend) string {
	var t strings.Builder
	fmt.Fprintf(&t, "\nbackend %s from %s\n", w.doc.word("backend", b.Name), Class(b.Policy))
	if b.Policy.Mode == haproxy.TCP && b.TimeoutServer != 0 {
		fmt.Fprintf(&t, "  timeout server %d\n", b.TimeoutServer.Milliseconds())
	}
	if b.Options.CAFile != "" {
		// HAProxy loads it now and so has it for servers that are added at runtime.
		fmt.Fprintf(&t, "  default-server ssl verify required ca-file %s\n", w.doc.word("CA file", b.Options.CAFile))
	}
	if b.Policy.ClientAffinity != 0 {
		fmt.Fprintf(&t, "  stick-table type ipv6 size 100k expire %d%s\n", b.Policy.ClientAffinity.Milliseconds(), w.shared)
		t.WriteString("  stick on src\n")
	}
	return t.String()
}

// sample stands for all light backends: it changes when a podgate renders them
// otherwise than the one before.
func (w *backendWriter) sample() string {
	text := w.head(&haproxy.Backend{Name: "sample", Policy: haproxy.Policy{Mode: haproxy.HTTP}})
	for _, p := range []haproxy.Protocol{haproxy.Plain, haproxy.TLS, haproxy.H2, haproxy.H2C} {
		text += w.serverParams(haproxy.Options{Protocol: p, Check: true, CheckInterval: time.Second, MaxConn: 1}) + "\n"
	}
	return text
}

func (w *backendWriter) writeServers(t *bytes.Buffer, b *haproxy.Backend) {
	params := w.serverParams(b.Options)
	for _, s := range b.Servers {
		line := appendServerLine(append(t.AvailableBuffer(), "  server "...), params, s)
		t.Write(append(line, '\n'))
	}
}

// RenderMaps returns the files of maps by their names.
func RenderMaps(maps []haproxy.Map) (map[string][]byte, error) {
	texts := map[string][]byte{}
	for _, m := range maps {
		var t bytes.Buffer
		for _, e := range m.Entries {
			if !isWord(e.Key) || !isWord(e.Value) {
				return nil, fmt.Errorf("map %s: entry %q: not two words", m.Name, e)
			}
			fmt.Fprintf(&t, "%s %s\n", e.Key, e.Value)
		}
		texts[MapFile(m.Name)] = t.Bytes()
	}
	return texts, nil
}
