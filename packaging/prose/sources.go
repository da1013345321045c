// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// written returns the files and folders that users read.
func written() []string {
	return []string{
		"README.md", "SECURITY.md",
		"packaging/doc", "packaging/examples", "packaging/prometheus", "packaging/grafana",
		"packaging/podgate.toml", "packaging/rbac.yaml",
		"packaging/debian/README.Debian", "packaging/debian/NEWS", "packaging/debian/control",
		"systemd",
		"daemon/admin/web/page.html", "daemon/admin/web/refresh.js",
	}
}

// manuals returns the text of each file of written.
func manuals(root string) (all []text, err error) {
	for _, name := range written() {
		err := fs.WalkDir(os.DirFS(root), name, func(path string, entry fs.DirEntry, err error) error {
			if os.IsNotExist(err) && path == name {
				return nil // SECURITY.md may be missing, and the trees of the tests have few files
			}
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(filepath.Join(root, path))
			all = append(all, text{path, []part{{1, string(content)}}})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// product returns each string literal of the Go code that is linked into podgate.
func product(root string) (all []text, err error) {
	cmd := exec.Command("go", "list", "-deps", "-f", `{{if .Module}}{{if .Module.Main}}{{range .GoFiles}}{{$.Dir}}/{{.}} {{end}}{{end}}{{end}}`, "./cmd/podgate")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	for _, file := range strings.Fields(string(out)) {
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		file, err := filepath.Rel(abs, file)
		if err != nil {
			return nil, err
		}
		for _, parts := range literals(set, tree) {
			all = append(all, text{file, parts})
		}
	}
	return all, nil
}

// literals returns the string literals of a file, without imports and tags. Literals that
// are joined with + are one string.
func literals(set *token.FileSet, tree *ast.File) (all [][]part) {
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			n.Tag = nil
		case *ast.BinaryExpr:
			if parts, ok := sum(set, n); ok {
				all = append(all, parts)
				return false
			}
		case *ast.BasicLit:
			if parts, ok := sum(set, n); ok {
				all = append(all, parts)
			}
		}
		return true
	})
	return all
}

// sum returns the parts of an expression of string literals and +.
func sum(set *token.FileSet, e ast.Expr) ([]part, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return nil, false
		}
		words, err := strconv.Unquote(e.Value)
		if e.Value[0] == '"' { // a \n in it is not a new line of the file
			words = strings.ReplaceAll(words, "\n", " ")
		}
		return []part{{set.Position(e.Pos()).Line, words}}, err == nil
	case *ast.BinaryExpr:
		left, ok := sum(set, e.X)
		right, ok2 := sum(set, e.Y)
		return append(left, right...), ok && ok2 && e.Op == token.ADD
	}
	return nil, false
}

// allComments returns the comments of every Go file below root.
func allComments(root string) (all []text, err error) {
	err = fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "dist"}, entry.Name()): // written by make
			return fs.SkipDir
		case filepath.Ext(path) != ".go":
			return nil
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, filepath.Join(root, path), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, group := range tree.Comments {
			var parts []part
			for _, c := range group.List {
				parts = append(parts, part{set.Position(c.Pos()).Line, c.Text + "\n"})
			}
			all = append(all, text{path, parts})
		}
		return nil
	})
	return all, err
}
