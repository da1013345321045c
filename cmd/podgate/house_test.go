// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goPackage is one answer of "go list -json".
type goPackage struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
}

func goList(t *testing.T, args ...string) (packages []goPackage) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Standard,Imports,Deps"}, args...)...)
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// walls has a row for every package: the packages of podgate that it may import.
const walls = `
cmd/podgate: daemon daemon/admin daemon/certstore daemon/compile daemon/confdir daemon/config daemon/demo
    daemon/drain daemon/dryrun daemon/guard daemon/preflight daemon/setup haproxy/check
daemon: daemon/admin daemon/certstore daemon/cluster daemon/compile daemon/confdir daemon/config daemon/drain
    daemon/health daemon/history daemon/latest daemon/machine daemon/reconcile daemon/transition haproxy haproxy/cfgfile
    haproxy/runtime kubeapi
daemon/admin: daemon/compile daemon/config daemon/guard daemon/reconcile daemon/transition haproxy
    haproxy/cfgfile haproxy/runtime kubeapi
daemon/bench: daemon/compile daemon/config daemon/edgetest haproxy haproxy/cfgfile haproxy/haproxytest haproxy/runtime
    kubeapi kubeapi/kubeapitest/realapi
daemon/certstore: daemon/cluster daemon/compile daemon/confdir daemon/config daemon/filewatch daemon/latest
    haproxy kubeapi
daemon/chaos: daemon daemon/config daemon/dryrun daemon/edgetest haproxy kubeapi/kubeapitest
daemon/cluster: daemon/config daemon/filewatch daemon/latest kubeapi
daemon/compile: daemon/config haproxy kubeapi
daemon/confdir: haproxy haproxy/cfgfile
daemon/config: daemon/filewatch haproxy
daemon/demo: daemon daemon/admin daemon/edgetest haproxy/haproxytest
daemon/drain: daemon/confdir daemon/config haproxy haproxy/cfgfile haproxy/runtime
daemon/dryrun: daemon/certstore daemon/cluster daemon/compile daemon/confdir daemon/config daemon/machine daemon/reconcile
    haproxy haproxy/cfgfile kubeapi
daemon/edgetest: daemon daemon/admin daemon/compile daemon/config haproxy haproxy/haproxytest haproxy/runtime
    kubeapi kubeapi/kubeapitest
daemon/filewatch:
daemon/guard: daemon/confdir haproxy
daemon/health: daemon/admin daemon/compile daemon/latest haproxy haproxy/runtime
daemon/history: daemon/admin daemon/compile daemon/reconcile daemon/transition kubeapi
daemon/latest:
daemon/machine: daemon/compile daemon/config haproxy/check
daemon/preflight: daemon/certstore daemon/cluster daemon/compile daemon/confdir daemon/config daemon/machine daemon/reconcile
    haproxy haproxy/check haproxy/runtime kubeapi
daemon/reconcile: daemon/confdir daemon/config daemon/guard daemon/transition haproxy haproxy/cfgfile
    haproxy/check haproxy/runtime
daemon/setup: daemon/compile daemon/config haproxy/check
daemon/transition:
haproxy:
haproxy/cfgfile: haproxy
haproxy/check: haproxy haproxy/cfgfile
haproxy/haproxytest: haproxy/runtime
haproxy/runtime: haproxy haproxy/cfgfile
kubeapi: kubeapi/auth kubeapi/wire
kubeapi/auth:
kubeapi/kubeapitest: kubeapi
kubeapi/kubeapitest/realapi:
kubeapi/wire:
packaging/copyright:
packaging/man:
packaging/prose:
`

func TestWallsBetweenPackages(t *testing.T) {
	mayImport := map[string][]string{}
	name := ""
	for line := range strings.Lines(strings.TrimSpace(walls)) {
		if row, imports, ok := strings.Cut(line, ":"); ok {
			name, line = row, imports
		}
		mayImport[name] = append(mayImport[name], strings.Fields(line)...)
	}
	for _, p := range goList(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, "podgate/")
		allowed, ok := mayImport[name]
		if !ok {
			t.Errorf("%s: add the package to walls, and to the table in packaging/doc/internals.md", name)
		}
		for _, imported := range p.Imports {
			imported, local := strings.CutPrefix(imported, "podgate/")
			if local && !slices.Contains(allowed, imported) {
				t.Errorf("%s: may not import %s", name, imported)
			}
		}
	}
}

func TestWallsAroundModules(t *testing.T) {
	for _, p := range goList(t, "./...") {
		for _, imported := range p.Imports {
			for module, importers := range map[string][]string{
				"github.com/haproxytech/":      {"podgate/haproxy/cfgfile", "podgate/haproxy/runtime"},
				"github.com/fsnotify/fsnotify": {"podgate/daemon/filewatch"},
			} {
				if strings.HasPrefix(imported, module) && !slices.Contains(importers, p.ImportPath) {
					t.Errorf("%s: may not import %s", p.ImportPath, imported)
				}
			}
		}
	}
}

// TestPackageHAProxyIsPure checks that package haproxy holds values only: it does no
// I/O and uses no module.
func TestPackageHAProxyIsPure(t *testing.T) {
	standard := map[string]bool{}
	for _, p := range goList(t, "std") {
		standard[p.ImportPath] = true
	}
	for _, p := range goList(t, "./haproxy") {
		for _, imported := range p.Imports {
			switch {
			case !standard[imported]:
				t.Errorf("%s: imports %s, which is not in the standard library", p.ImportPath, imported)
			case slices.Contains([]string{"net", "net/http", "os", "os/exec", "log", "log/slog"}, imported):
				t.Errorf("%s: imports %s, which does I/O", p.ImportPath, imported)
			}
		}
	}
}

func TestProductHasNoKubernetesModules(t *testing.T) {
	for _, p := range goList(t, "./cmd/podgate") {
		for _, dep := range p.Deps {
			// sigs.k8s.io/yaml is only a YAML reader.
			if strings.HasPrefix(dep, "k8s.io/") || dep == "testing" {
				t.Errorf("%s: depends on %s", p.ImportPath, dep)
			}
		}
	}
}

// productFiles returns the Go files below a folder of the repository, without tests.
func productFiles(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	root := os.DirFS("../..")
	err := fs.WalkDir(root, folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files[path], err = fs.ReadFile(root, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func lineCount(text []byte) int { return bytes.Count(text, []byte("\n")) }

func TestProductFilesHaveAtMost500Lines(t *testing.T) {
	files := productFiles(t, ".")
	if len(files) < 100 {
		t.Errorf("found only %d files", len(files))
	}
	for path, text := range files {
		if n := lineCount(text); n > 500 {
			t.Errorf("%s has %d lines", path, n)
		}
	}
}

// TestLoopIsSmall limits package daemon, which a new reader opens first: its
// lines, and the names of daemon/reconcile that it uses (types, functions and
// methods; the fields of Want, Result and Status are values).
func TestLoopIsSmall(t *testing.T) {
	const mostLines, mostNames = 1000, 10
	lines := 0
	names := map[string]bool{}
	for path, text := range productFiles(t, "daemon") {
		if filepath.Dir(path) != "daemon" {
			continue
		}
		lines += lineCount(text)
		inspect(t, path, text, func(n ast.Node) {
			if s, ok := n.(*ast.SelectorExpr); ok && isReconciler(s.X) {
				names[s.Sel.Name] = true
			}
		})
	}
	if lines >= mostLines {
		t.Errorf("package daemon has %d lines, want less than %d", lines, mostLines)
	}
	if len(names) > mostNames || !names["Reconcile"] {
		t.Errorf("package daemon uses %d names of daemon/reconcile, want at most %d: %s", len(names), mostNames, slices.Sorted(maps.Keys(names)))
	}
}

// isReconciler reports whether x is the package reconcile, or the Daemon's
// Reconciler.
func isReconciler(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "reconcile"
	case *ast.SelectorExpr:
		return x.Sel.Name == "reconciler"
	}
	return false
}

func TestWallAroundTheFieldsOfReconciler(t *testing.T) {
	found := false
	for path, text := range productFiles(t, "daemon/reconcile") {
		inspect(t, path, text, func(n ast.Node) {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != "Reconciler" {
				return
			}
			found = true
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				if len(field.Names) == 0 || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
					t.Errorf("Reconciler has an exported or embedded field: %s", field.Names)
				}
			}
		})
	}
	if !found {
		t.Error("there is no type Reconciler")
	}
}

// inspect calls visit for each node of a Go file.
func inspect(t *testing.T, path string, text []byte, visit func(ast.Node)) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool { visit(n); return true })
}
