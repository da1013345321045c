// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// goPackage is what "go list -json" says of a package.
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
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// TestNobodyImportsThroughAWall holds the imports of every package against who
// may know whom. A package that is not listed has no place in the house yet.
func TestNobodyImportsThroughAWall(t *testing.T) {
	mayImport := map[string][]string{
		"podgate/cmd/podgate":                 {"podgate/daemon", "podgate/daemon/admin", "podgate/daemon/config", "podgate/daemon/demo", "podgate/daemon/setup", "podgate/haproxy/check"},
		"podgate/daemon":                      {"podgate/daemon/admin", "podgate/daemon/certs", "podgate/daemon/compile", "podgate/daemon/config", "podgate/daemon/filewatch", "podgate/kubeapi", "podgate/haproxy", "podgate/haproxy/cfgfile", "podgate/haproxy/check", "podgate/haproxy/runtime"},
		"podgate/daemon/admin":                {"podgate/daemon/compile", "podgate/daemon/config", "podgate/kubeapi", "podgate/haproxy", "podgate/haproxy/cfgfile", "podgate/haproxy/runtime"},
		"podgate/daemon/bench":                {"podgate/daemon/compile", "podgate/daemon/config", "podgate/haproxy", "podgate/haproxy/cfgfile", "podgate/haproxy/runtime", "podgate/haproxy/haproxytest", "podgate/kubeapi", "podgate/kubeapi/kubeapitest", "podgate/kubeapi/kubeapitest/realapi"},
		"podgate/daemon/certs":                {"podgate/daemon/filewatch", "podgate/haproxy"},
		"podgate/daemon/chaos":                {"podgate/daemon", "podgate/daemon/config", "podgate/haproxy", "podgate/haproxy/runtime", "podgate/haproxy/haproxytest", "podgate/kubeapi", "podgate/kubeapi/kubeapitest"},
		"podgate/daemon/compile":              {"podgate/daemon/config", "podgate/kubeapi", "podgate/haproxy"},
		"podgate/daemon/config":               {"podgate/daemon/filewatch", "podgate/haproxy"},
		"podgate/daemon/demo":                 {"podgate/daemon", "podgate/daemon/admin", "podgate/daemon/edgetest", "podgate/haproxy/haproxytest"},
		"podgate/daemon/edgetest":             {"podgate/daemon", "podgate/daemon/admin", "podgate/daemon/compile", "podgate/daemon/config", "podgate/haproxy", "podgate/haproxy/runtime", "podgate/haproxy/haproxytest", "podgate/kubeapi", "podgate/kubeapi/kubeapitest"},
		"podgate/daemon/filewatch":            {},
		"podgate/daemon/setup":                {"podgate/daemon", "podgate/daemon/config", "podgate/haproxy/check"},
		"podgate/kubeapi":                     {},
		"podgate/packaging/man":               {},
		"podgate/packaging/copyright":         {},
		"podgate/packaging/prose":             {},
		"podgate/kubeapi/kubeapitest":         {"podgate/kubeapi"},
		"podgate/kubeapi/kubeapitest/realapi": {},
		"podgate/haproxy":                     {},
		"podgate/haproxy/cfgfile":             {"podgate/haproxy"},
		"podgate/haproxy/check":               {"podgate/haproxy", "podgate/haproxy/cfgfile"},
		"podgate/haproxy/runtime":             {"podgate/haproxy", "podgate/haproxy/cfgfile"},
		"podgate/haproxy/haproxytest":         {"podgate/haproxy/runtime"},
	}
	for _, p := range goList(t, "./...") {
		allowed, ok := mayImport[p.ImportPath]
		if !ok {
			t.Errorf("%s: has no place in the house", p.ImportPath)
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "podgate/") && !slices.Contains(allowed, imported) {
				t.Errorf("%s: may not import %s", p.ImportPath, imported)
			}
		}
	}
}

func TestOnlyCfgfileAndRuntimeKnowClientNative(t *testing.T) {
	for _, p := range goList(t, "./...") {
		for _, imported := range p.Imports {
			known := p.ImportPath == "podgate/haproxy/cfgfile" || p.ImportPath == "podgate/haproxy/runtime"
			if strings.HasPrefix(imported, "github.com/haproxytech/") && !known {
				t.Errorf("%s: may not import %s", p.ImportPath, imported)
			}
		}
	}
}

func TestOnlyFilewatchKnowsFsnotify(t *testing.T) {
	for _, p := range goList(t, "./...") {
		if slices.Contains(p.Imports, "github.com/fsnotify/fsnotify") && p.ImportPath != "podgate/daemon/filewatch" {
			t.Errorf("%s: may not import fsnotify", p.ImportPath)
		}
	}
}

func TestHAProxysValuesAreValues(t *testing.T) {
	standard := map[string]bool{}
	for _, p := range goList(t, "std") {
		standard[p.ImportPath] = true
	}
	for _, p := range goList(t, "./haproxy") {
		for _, imported := range p.Imports {
			switch {
			case !standard[imported]:
				t.Errorf("%s: imports %s, which is not of the standard library", p.ImportPath, imported)
			case slices.Contains([]string{"net", "net/http", "os", "os/exec", "log", "log/slog"}, imported):
				t.Errorf("%s: imports %s, which does I/O", p.ImportPath, imported)
			}
		}
	}
}

func TestTheProductIsFreeOfKubernetesModulesAndOfTesting(t *testing.T) {
	for _, p := range goList(t, "./cmd/podgate") {
		for _, dep := range p.Deps {
			// sigs.k8s.io/yaml is a YAML reader and knows nothing of Kubernetes.
			if strings.HasPrefix(dep, "k8s.io/") || dep == "testing" {
				t.Errorf("%s: depends on %s", p.ImportPath, dep)
			}
		}
	}
}
