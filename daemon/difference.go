// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"podgate/daemon/certstore"
	"podgate/daemon/compile"
	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/daemon/reconcile"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// Difference is one thing in which HAProxy, or the file that it would start
// with, is not as the cluster wants it.
type Difference struct {
	Where string `json:"where"` // "process" or "file"
	How   string `json:"how"`   // what sets it right: "runtime", "reload" or "write"
	What  string `json:"what"`
}

// String is "process runtime: add shop_cart_80/10.1.2.3:8080 ready".
func (d Difference) String() string { return d.Where + " " + d.How + ": " + d.What }

// Differences compares the running HAProxy and the files in its folder with
// what the cluster asks for, and changes nothing. The cluster is read from
// objects, as kubectl prints them, or listed once if that is nil.
func Differences(ctx context.Context, c *config.Config, version string, objects io.Reader) ([]Difference, error) {
	snapshot, err := readCluster(ctx, c, version, objects)
	if err != nil {
		return nil, err
	}
	store := certstore.ReadOnce(certstore.FromConfig(c))
	result := compile.Compile(c, store.Set().Files, snapshot, nil)
	want := result.State
	want.Certificates = store.Choose(result).Certificates
	secret, err := confdir.Dir(c.HAProxy.Folder).ReadRelaySecret()
	if err != nil {
		return nil, fmt.Errorf("compare with what is written: %w", err)
	}
	want = want.WithRelaySecret(secret)
	_, draining := confdir.Dir(c.HAProxy.Folder).ReadDrain()
	want.Node = haproxy.Node{Served: true, Draining: draining}
	comparison, err := reconcile.New(host(c, slog.New(slog.DiscardHandler)), reconcile.Config{}).Compare(ctx, want)
	if err != nil {
		return nil, err
	}
	differences := processDifferences(comparison)
	inFile, err := fileDifferences(c.HAProxy.Folder, comparison.Want)
	differences = append(differences, inFile...)
	for i := range differences {
		differences[i].What = withoutSecrets(differences[i].What, secret)
	}
	return differences, err
}

// withoutSecrets takes out of a line what only podgate and HAProxy know: it is
// shown, and put into tickets.
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

// processDifferences tells the Plan. Of a process that has loaded another's
// configuration there is nothing to tell but that.
func processDifferences(c reconcile.Comparison) []Difference {
	var differences []Difference
	for _, reason := range c.Reasons {
		differences = append(differences, Difference{"process", "reload", reason.String()})
	}
	if !c.Ours {
		return differences
	}
	plan := c.Plan
	for _, name := range plan.Publish {
		what := "publish backend " + name
		if _, ok := c.Have.Loaded.Backend(name); !ok {
			what = "add backend " + name
		}
		differences = append(differences, Difference{"process", "runtime", what})
	}
	for _, b := range plan.OldBackends {
		differences = append(differences, Difference{"process", "runtime", "delete backend " + b.Name})
	}
	for _, change := range slices.Concat(plan.Add, plan.Leave) {
		differences = append(differences, Difference{"process", "runtime", change.String()})
	}
	for _, name := range plan.Expel {
		differences = append(differences, Difference{"process", "runtime", "expel " + name})
	}
	for _, change := range slices.Concat(plan.Certificates, plan.DropCertificates) {
		differences = append(differences, Difference{"process", "runtime", change.String()})
	}
	for _, m := range plan.Maps {
		i := slices.Index(haproxy.MapNames(), m.Name)
		for _, line := range lineDifferences(mapLines(c.Have.Maps[i]), mapLines(m)) {
			differences = append(differences, Difference{"process", "runtime", "map " + m.Name + ": " + line})
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

// fileDifferences compares the files line by line, section by section. An empty
// backend that is no longer wanted is no difference: it stays in file and
// process until the next reload, and so does the generation.
func fileDifferences(folder string, want haproxy.State) ([]Difference, error) {
	files, err := cfgfile.Render(want, folder)
	if err != nil {
		return nil, err
	}
	texts := files.Maps
	texts[cfgfile.ConfigFile] = files.Config()
	if files.CrtList != nil {
		texts[cfgfile.CrtListFile] = files.CrtList
	}
	var differences []Difference
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		written, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("compare with what is written: %w", err)
		}
		have, wanted := sections(name, string(written)), sections(name, string(texts[name]))
		for _, section := range slices.Sorted(maps.Keys(union(have, wanted))) {
			old, stays := have[section]
			if _, ok := wanted[section]; !ok && stays && retired(section, old) || section == "global" {
				continue
			}
			for _, line := range lineDifferences(old, wanted[section]) {
				differences = append(differences, Difference{"file", "write", section + ": " + line})
			}
		}
	}
	return differences, nil
}

// sections splits a configuration of ours at its section headers; a map is one
// section.
func sections(name, text string) map[string][]string {
	section := name
	split := map[string][]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "# "):
		case name == cfgfile.ConfigFile && !strings.HasPrefix(line, " "):
			kind, rest, _ := strings.Cut(line, " ")
			own, from, _ := strings.Cut(rest, " from ")
			section = strings.TrimSpace(kind + " " + own)
			split[section] = append(split[section], "from "+from)
		default:
			split[section] = append(split[section], strings.TrimSpace(line))
		}
	}
	return split
}

// retired reports whether a section that is not wanted is one that waits for
// the next reload to go: a backend without servers, or the defaults of one.
func retired(section string, lines []string) bool {
	if strings.HasPrefix(section, "defaults ") {
		return true
	}
	servers := slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "server ") })
	return strings.HasPrefix(section, "backend ") && !servers
}

func union(a, b map[string][]string) map[string]bool {
	all := map[string]bool{}
	for name := range a {
		all[name] = true
	}
	for name := range b {
		all[name] = true
	}
	return all
}

// lineDifferences are the lines that only one of them has, "- " those of have
// and "+ " those of want.
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
