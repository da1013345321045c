// SPDX-License-Identifier: Apache-2.0

package dryrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/daemon/reconcile"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// Difference is one difference between what HAProxy should serve and the running
// HAProxy, or the files with which it would start.
type Difference struct {
	Where string `json:"where"` // "process" or "file"
	How   string `json:"how"`   // how podgate would change it: "runtime", "reload" or "write"
	What  string `json:"what"`
}

// String is "process runtime: add shop_cart_80/10.1.2.3:8080 ready".
func (d Difference) String() string { return d.Where + " " + d.How + ": " + d.What }

// Diff compares the running HAProxy and the files in podgate's folder with what HAProxy
// should serve. It reads the cluster like Render.
func Diff(ctx context.Context, c *config.Config, version string, objects io.Reader) ([]Difference, error) {
	w, err := want(ctx, c, version, objects)
	if err != nil {
		return nil, err
	}
	dir := confdir.Dir(c.HAProxy.Folder)
	secret, err := dir.ReadRelaySecret()
	if err != nil {
		return nil, fmt.Errorf("compare with the files: %w", err)
	}
	_, draining := dir.ReadDrain()
	w.state.Node = haproxy.Node{Served: true, Draining: draining}
	r := reconcile.New(reconcile.HostFromConfig(c, slog.New(slog.DiscardHandler)), reconcile.Config{})
	comparison, err := r.Compare(ctx, w.state.WithRelaySecret(secret))
	if err != nil {
		return nil, err
	}
	differences := processDifferences(comparison)
	inFile, err := fileDifferences(dir, comparison.Want.InSpares(comparison.Have.Loaded))
	differences = append(differences, inFile...)
	own := ownNames(comparison.Have.Loaded.WithBackends(comparison.Plan.NewBackends, nil))
	for i := range differences {
		differences[i].What = own.Replace(withoutSecrets(differences[i].What, secret))
	}
	return differences, err
}

// ownNames replaces the names of spares by those of the backends that have taken them.
func ownNames(loaded haproxy.State) *strings.Replacer {
	var pairs []string
	names := loaded.SpareNames()
	for _, spare := range slices.SortedFunc(maps.Keys(names), func(a, b string) int { return len(b) - len(a) }) { // not "x.1" of "x.12"
		pairs = append(pairs, spare, names[spare])
	}
	return strings.NewReplacer(pairs...)
}

// withoutSecrets replaces the secrets in a line, because operators paste the output
// into tickets.
func withoutSecrets(line, secret string) string {
	if secret != "" {
		line = strings.ReplaceAll(line, secret, "(secret)")
	}
	const key = "dynamic-cookie-key "
	if i := strings.Index(line, key); i >= 0 {
		line = line[:i+len(key)] + "(secret)"
	}
	return line
}

// processDifferences returns what Reconcile would change. If the process has loaded a
// configuration that is not podgate's, only the reasons for a reload are known.
func processDifferences(c reconcile.Comparison) []Difference {
	var differences []Difference
	for _, reason := range c.Reasons {
		differences = append(differences, Difference{"process", "reload", reason.String()})
	}
	if !c.Ours {
		return differences
	}
	atRuntime := func(what string) { differences = append(differences, Difference{"process", "runtime", what}) }
	plan := c.Plan
	for _, name := range plan.Publish {
		verb := "publish"
		if _, ok := c.Have.Loaded.Backend(name); !ok {
			verb = "add"
		}
		atRuntime(verb + " backend " + name)
	}
	for _, b := range plan.NewBackends {
		if b.Spare != "" {
			atRuntime("add backend " + b.Name)
		}
	}
	for _, b := range plan.OldBackends {
		atRuntime("delete backend " + b.Name)
	}
	for _, change := range slices.Concat(plan.Add, plan.Leave) {
		atRuntime(change.String())
	}
	for _, name := range plan.RemoveUnmanaged {
		atRuntime("remove unmanaged server " + name)
	}
	for _, change := range slices.Concat(plan.Certificates, plan.DropCertificates) {
		atRuntime(change.String())
	}
	for _, m := range plan.Maps {
		if m.Name == haproxy.SparesMap {
			continue
		}
		i := slices.IndexFunc(c.Have.Maps, func(h haproxy.Map) bool { return h.Name == m.Name })
		for _, line := range lineDifferences(mapLines(c.Have.Maps[i]), mapLines(m)) {
			atRuntime("map " + m.Name + ": " + line)
		}
	}
	return differences
}

func mapLines(m haproxy.Map) []string {
	var lines []string
	for _, e := range m.Entries {
		lines = append(lines, e.Key+" "+e.Value)
	}
	return lines
}

// fileDifferences compares the lines of each section in the files. It ignores a backend
// without servers that is no longer wanted: it stays in the file and in the process
// until the next reload.
func fileDifferences(dir confdir.Dir, want haproxy.State) ([]Difference, error) {
	files, err := cfgfile.Render(want, string(dir))
	if err != nil {
		return nil, err
	}
	texts := files.Maps
	delete(texts, cfgfile.MapFile(haproxy.SparesMap))
	texts[cfgfile.ConfigFile] = files.Config()
	if files.CrtList != nil {
		texts[cfgfile.CrtListFile] = files.CrtList
	}
	var differences []Difference
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		written, err := os.ReadFile(dir.Path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("compare with the files: %w", err)
		}
		have, wanted := sections(name, written), sections(name, texts[name])
		all := maps.Clone(wanted)
		maps.Copy(all, have)
		for _, section := range slices.Sorted(maps.Keys(all)) {
			if _, ok := wanted[section]; !ok && removedByReload(section, have[section]) || section == "global" {
				continue
			}
			for _, line := range lineDifferences(have[section], wanted[section]) {
				differences = append(differences, Difference{"file", "write", section + ": " + line})
			}
		}
	}
	return differences, nil
}

// sections returns the lines of each section of podgate.cfg, by "KIND NAME". Any other
// file is one section.
func sections(name string, text []byte) map[string][]string {
	if name != cfgfile.ConfigFile {
		return map[string][]string{name: strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })}
	}
	split := map[string][]string{}
	for _, s := range cfgfile.Parse(text).Sections {
		section := strings.TrimSpace(s.Kind + " " + s.Name)
		split[section] = append(append(split[section], "from "+s.From), s.Lines...)
	}
	return split
}

// removedByReload reports whether the next reload removes a section that is no longer
// wanted: a backend without servers, or the defaults of one.
func removedByReload(section string, lines []string) bool {
	if strings.HasPrefix(section, "defaults ") {
		return true
	}
	servers := slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "server ") })
	return strings.HasPrefix(section, "backend ") && !servers
}

// lineDifferences returns the lines that are only in have, after "- ", and those that
// are only in want, after "+ ".
func lineDifferences(have, want []string) []string {
	var lines []string
	for _, line := range have {
		if !slices.Contains(want, line) {
			lines = append(lines, "- "+line)
		}
	}
	for _, line := range want {
		if !slices.Contains(have, line) {
			lines = append(lines, "+ "+line)
		}
	}
	return lines
}
