// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// parseProduct parses the Go files of a folder, without tests.
func parseProduct(t *testing.T, folder string) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// TestTheLoopUsesFewNamesOfReconcile counts the types, functions and methods; the
// fields of Want, Result and Status are values.
func TestTheLoopUsesFewNamesOfReconcile(t *testing.T) {
	used := map[string]bool{}
	for _, file := range parseProduct(t, "daemon") {
		ast.Inspect(file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			switch x := selector.X.(type) {
			case *ast.Ident:
				if x.Name == "reconcile" {
					used[selector.Sel.Name] = true
				}
			case *ast.SelectorExpr:
				if x.Sel.Name == "reconciler" {
					used[selector.Sel.Name] = true
				}
			}
			return true
		})
	}
	const most = 10
	if len(used) == 0 || len(used) > most {
		t.Errorf("the loop uses %d names of daemon/reconcile, want 1 to %d: %q", len(used), most, slices.Sorted(maps.Keys(used)))
	}
}

func TestTheReconcilerHasNoExportedFields(t *testing.T) {
	found := false
	for _, file := range parseProduct(t, "daemon/reconcile") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != "Reconciler" {
				return true
			}
			found = true
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				for _, name := range field.Names {
					if name.IsExported() {
						t.Errorf("Reconciler.%s is exported", name)
					}
				}
				if len(field.Names) == 0 {
					t.Error("Reconciler embeds another type")
				}
			}
			return true
		})
	}
	if !found {
		t.Error("there is no type Reconciler")
	}
}
