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
	mayImport := map[string]string{
		"cmd/podgate": `
			daemon
			daemon/admin
			daemon/certstore
			daemon/compile
			daemon/confdir
			daemon/config
			daemon/demo
			daemon/drain
			daemon/dryrun
			daemon/guard
			daemon/preflight
			daemon/setup
			haproxy/check
		`,
		"daemon": `
			daemon/admin
			daemon/certstore
			daemon/cluster
			daemon/compile
			daemon/confdir
			daemon/config
			daemon/drain
			daemon/health
			daemon/history
			daemon/reconcile
			daemon/transition
			haproxy
			haproxy/cfgfile
			haproxy/runtime
			kubeapi
		`,
		"daemon/admin": `
			daemon/compile
			daemon/config
			daemon/guard
			daemon/reconcile
			daemon/transition
			haproxy
			haproxy/cfgfile
			haproxy/runtime
			kubeapi
		`,
		"daemon/bench": `
			daemon/compile
			daemon/config
			daemon/edgetest
			haproxy
			haproxy/cfgfile
			kubeapi
			kubeapi/kubeapitest/realapi
		`,
		"daemon/certstore": `
			daemon/cluster
			daemon/compile
			daemon/confdir
			daemon/config
			daemon/filewatch
			daemon/latest
			haproxy
			kubeapi
		`,
		"daemon/chaos": `
			daemon
			daemon/config
			daemon/dryrun
			daemon/edgetest
			haproxy
			kubeapi/kubeapitest
		`,
		"daemon/cluster": `
			daemon/config
			daemon/filewatch
			daemon/latest
			kubeapi
		`,
		"daemon/compile": `
			daemon/config
			haproxy
			kubeapi
		`,
		"daemon/confdir": `
			haproxy
			haproxy/cfgfile
		`,
		"daemon/config": `
			daemon/filewatch
			haproxy
		`,
		"daemon/demo": `
			daemon
			daemon/admin
			daemon/edgetest
			haproxy/haproxytest
		`,
		"daemon/drain": `
			daemon/confdir
			daemon/config
			haproxy
			haproxy/cfgfile
			haproxy/runtime
		`,
		"daemon/dryrun": `
			daemon/certstore
			daemon/cluster
			daemon/compile
			daemon/confdir
			daemon/config
			daemon/reconcile
			haproxy
			haproxy/cfgfile
			kubeapi
		`,
		"daemon/edgetest": `
			daemon
			daemon/admin
			daemon/compile
			daemon/config
			haproxy
			haproxy/haproxytest
			haproxy/runtime
			kubeapi
			kubeapi/kubeapitest
		`,
		"daemon/filewatch": ``,
		"daemon/guard": `
			daemon/confdir
			haproxy
		`,
		"daemon/health": `
			daemon/admin
			daemon/compile
			daemon/latest
			haproxy
			haproxy/runtime
		`,
		"daemon/history": `
			daemon/admin
			daemon/compile
			daemon/reconcile
			daemon/transition
			kubeapi
		`,
		"daemon/latest": ``,
		"daemon/preflight": `
			daemon/certstore
			daemon/cluster
			daemon/compile
			daemon/confdir
			daemon/config
			daemon/reconcile
			haproxy
			haproxy/check
			haproxy/runtime
			kubeapi
		`,
		"daemon/reconcile": `
			daemon/confdir
			daemon/config
			daemon/guard
			daemon/transition
			haproxy
			haproxy/cfgfile
			haproxy/check
			haproxy/runtime
		`,
		"daemon/setup": `
			daemon/compile
			daemon/config
			haproxy/check
		`,
		"daemon/transition": ``,
		"haproxy":           ``,
		"haproxy/cfgfile": `
			haproxy
		`,
		"haproxy/check": `
			haproxy
			haproxy/cfgfile
		`,
		"haproxy/haproxytest": `
			haproxy/runtime
		`,
		"haproxy/runtime": `
			haproxy
			haproxy/cfgfile
		`,
		"kubeapi": `
			kubeapi/auth
			kubeapi/wire
		`,
		"kubeapi/auth": ``,
		"kubeapi/kubeapitest": `
			kubeapi
		`,
		"kubeapi/kubeapitest/realapi": ``,
		"kubeapi/wire":                ``,
		"packaging/copyright":         ``,
		"packaging/man":               ``,
		"packaging/prose":             ``,
	}
	for _, p := range goList(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, "podgate/")
		allowed, ok := mayImport[name]
		if !ok {
			t.Errorf("%s: add the package to this table, and to the one in packaging/doc/internals.md", name)
		}
		for _, imported := range p.Imports {
			imported, ours := strings.CutPrefix(imported, "podgate/")
			if ours && !slices.Contains(strings.Fields(allowed), imported) {
				t.Errorf("%s: may not import %s", name, imported)
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
