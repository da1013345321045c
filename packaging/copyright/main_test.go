// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParagraph(t *testing.T) {
	for _, row := range []struct{ name, licence, notice, want string }{
		{"a licence is quoted in full", "MIT License\n\nCopyright (c) 2013 Jane Doe\n", "", `
Files: vendor/example.com/m/*
Copyright: 2013 Jane Doe
License: of-example.com-m
 MIT License
 .
 Copyright (c) 2013 Jane Doe
`},
		{"a licence that Debian has is named, and the notice quoted", "Apache License\nVersion 2.0\nCopyright {yyyy} {name}\nCopyright notice\n", "Project\nCopyright 2018 Corp\n", `
Files: vendor/example.com/m/*
Copyright: 2018 Corp
License: Apache-2.0
Comment: its NOTICE says
 Project
 Copyright 2018 Corp
`},
		{"without a holder, the authors are named", "Mozilla Public License, version 2.0\n", "", `
Files: vendor/example.com/m/*
Copyright: The authors of example.com/m
License: MPL-2.0
`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, paragraph("example.com/m", row.licence, row.notice)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestEveryModuleHasAParagraph(t *testing.T) {
	var out strings.Builder
	if err := run(strings.NewReader(""), &out, "podgate/cmd/podgate"); err != nil {
		t.Fatal(err)
	}
	list, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "podgate/cmd/podgate").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(list))
	if len(modules) == 0 {
		t.Fatal("podgate has no modules")
	}
	for _, m := range modules {
		if !strings.Contains(out.String(), "\nFiles: vendor/"+m+"/*\n") {
			t.Errorf("%s is missing", m)
		}
	}
}
