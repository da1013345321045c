// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"podgate/haproxy"
)

// ConfigFile is the name of the configuration file in podgate's folder.
const ConfigFile = "podgate.cfg"

// ServerStateFile is the name of the file in podgate's folder from which HAProxy reads
// the health and administrative state of servers while it starts (configuration.txt
// "server-state-file").
const ServerStateFile = "servers.state"

// EmptyServerState returns a ServerStateFile without servers.
func EmptyServerState() []byte { return []byte("1\n") }

// MapFile returns the file name of one of haproxy.MapNames.
func MapFile(name string) string { return name + ".map" }

// Files is the files of a State.
type Files struct {
	// Generation is a hash of everything that only a reload can change: of ConfigFile
	// without its servers and the lines that depend on their number, and with
	// RuntimeBackends also without dynamic backends. It does not depend on which backend is
	// in which spare. HAProxy shows it in "show info" as
	// "gen=...".
	Generation string
	Maps       map[string][]byte // by file name
	CrtList    []byte            // nil if no frontend ends TLS
	Sections   *Sections         // of ConfigFile

	backends haproxy.Backends
}

// Config returns the content of ConfigFile, which may be megabytes.
func (f Files) Config() []byte {
	text := append(make([]byte, 0, len(f.Sections.head)+f.Sections.size(f.backends)), f.Sections.head...)
	for _, b := range f.backends.All() {
		text = f.Sections.AppendBackend(text, b)
	}
	return text
}

// WriteConfig writes the content of ConfigFile in many small parts. It returns the
// first error of to.
func (f Files) WriteConfig(to io.Writer) error {
	if _, err := to.Write(f.Sections.head); err != nil {
		return err
	}
	var section []byte
	for _, b := range f.backends.All() {
		section = f.Sections.AppendBackend(section[:0], b)
		if _, err := to.Write(section); err != nil {
			return err
		}
	}
	return nil
}

// Render returns the files of s; equal States have equal bytes. folder is the absolute
// path of the folder that will hold them. The error names the values in s that cannot
// be rendered; the Files are empty then. It may be called concurrently.
func Render(s haproxy.State, folder string) (Files, error) {
	s = s.AsLoaded()
	d := newDocument(folder)
	d.rules, d.header = s.Settings.Rules, s.HeaderNames
	d.spares = s.SpareBackends > 0 && !s.RuntimeBackends
	d.addBaseDefaults(s.Settings)
	for _, p := range classes(s) {
		d.addClass(p)
	}
	for _, f := range s.Frontends {
		d.addFrontend(f, s.Settings)
	}
	structure := sha256.New()
	backends := newSections()
	if s.Settings.StatePerBackend {
		backends.stateFile = d.stateFile()
	}
	if len(s.Settings.Peers) > 0 {
		backends.shared = " peers " + PeersSection
	}
	if d.spares {
		backends.spare = d.spareRule()
	}
	var line []byte
	var spares []string
	for _, b := range s.Backends.All() {
		d.word("backend", b.Name)
		if b.Options.CAFile != "" {
			d.word("CA file", b.Options.CAFile)
		}
		backends.addCommon(b)
		if b.Spare != "" {
			d.word("spare", b.Spare)
			spares = append(spares, string(backends.appendHead(nil, b)))
			continue
		}
		if !s.RuntimeBackends || !b.Dynamic() {
			line = append(backends.appendHead(line[:0], b), backends.serverParams(b.Options)...)
			structure.Write(append(line, '\n'))
		}
	}
	for _, head := range slices.Sorted(slices.Values(spares)) {
		structure.Write([]byte(head))
	}
	if s.RuntimeBackends {
		fmt.Fprintf(structure, "edition %s\n%s", s.DynamicHash, backends.sample())
	}
	peers := d.peers(s.Settings)
	if d.err != nil {
		return Files{}, d.err
	}
	sections := peers + d.parser.String()
	global := d.globalLines(s.Settings)
	structure.Write([]byte(global + sections))
	generation := fmt.Sprintf("%x", structure.Sum(nil)[:6])
	backends.head = fmt.Appendf(nil, "%s\nglobal\n  description gen=%s\n%s%s%s", header, generation, spreadChecks(s.Backends), global, sections)

	texts, err := RenderMaps(s.Maps())
	if err != nil {
		return Files{}, err
	}
	crtList, err := RenderCrtList(s, folder)
	if err != nil {
		return Files{}, err
	}
	return Files{Generation: generation, Maps: texts, CrtList: crtList, Sections: backends, backends: s.Backends}, nil
}

const header = `# Written by podgate; manual changes are lost.
# podgate also changes servers and maps at run time: "show servers state" shows the present servers.
`

// globalLines returns lines of podgate's global section, which HAProxy merges with
// that of the operator.
func (d *document) globalLines(s haproxy.Settings) string {
	lines := ""
	if !s.StatePerBackend {
		lines = fmt.Sprintf("  server-state-file %s\n", d.stateFile())
	}
	if s.HardStopAfter != 0 {
		lines += fmt.Sprintf("  hard-stop-after %d\n", s.HardStopAfter.Milliseconds())
	}
	if s.MaxWorkerReloads != 0 {
		lines += fmt.Sprintf("  mworker-max-reloads %d\n", s.MaxWorkerReloads)
	}
	return lines + rulesAtOnce
}

// rulesAtOnce lets HAProxy evaluate all rules of a request without a pause. By default HAProxy
// 3.2 and newer evaluate 50, and continue after the work for other connections, which costs more
// processor time than ten rules.
const rulesAtOnce = "  .if version_atleast(3.2)\n  tune.max-rules-at-once 1000\n  .endif\n"

func (d *document) stateFile() string {
	return d.word("folder", filepath.Join(d.folder, ServerStateFile))
}

// PeersSection is the name of the peers section, the same on every edge node.
const PeersSection = "podgate"

// peers returns the peers section; "" without peers.
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

// classes returns the classes of s, in the order of their names.
func classes(s haproxy.State) []haproxy.Policy {
	distinct := map[haproxy.Policy]bool{}
	for _, p := range s.Classes {
		distinct[p.Class()] = true
	}
	for _, b := range s.Backends.All() {
		distinct[b.Policy.Class()] = true
	}
	byName := make(map[string]haproxy.Policy, len(distinct))
	for p := range distinct {
		byName[Class(p)] = p
	}
	var policies []haproxy.Policy
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		policies = append(policies, byName[name])
	}
	return policies
}

// isPattern reports whether s is a regular expression that is one word of a line of a map.
func isPattern(s string) bool {
	return strings.HasPrefix(s, "^") && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f })
}

// RenderMaps returns the files of maps by their names.
func RenderMaps(maps []haproxy.Map) (map[string][]byte, error) {
	texts := map[string][]byte{}
	for _, m := range maps {
		var t bytes.Buffer
		for _, e := range m.Entries {
			if !isWord(e.Value) || !isWord(e.Key) && !(m.Ordered() && isPattern(e.Key)) {
				return nil, fmt.Errorf("map %s: entry %q: not two words", m.Name, e)
			}
			fmt.Fprintf(&t, "%s %s\n", e.Key, e.Value)
		}
		texts[MapFile(m.Name)] = t.Bytes()
	}
	return texts, nil
}
