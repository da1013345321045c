// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The loop's package is read by everybody who wants to know what podgate does. What
// it asks of the reconciler is what the reconciler's API has to stay small for.
func TestHouseLoopIsSmall(t *testing.T) {
	const mostLines, mostNames = 1000, 10
	paths, err := filepath.Glob("../../daemon/*.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	names := map[string]bool{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(text, []byte("\n"))
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && isReconciler(s.X) {
				names[s.Sel.Name] = true
			}
			return true
		})
	}
	if lines > mostLines {
		t.Errorf("package daemon has %d lines, more than %d", lines, mostLines)
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
