// SPDX-License-Identifier: Apache-2.0

//go:build lifecycle

package lifecycle

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// checkLinks checks that the files exist to which the installed pages link, and which
// README.Debian and the man pages name in the folder of the documentation.
func checkLinks(t *testing.T) {
	t.Helper()
	const folder = "/usr/share/doc/podgate"
	pages, err := filepath.Glob(folder + "/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("pages of the package: %q, %v", pages, err)
	}
	count := 0
	exists := func(from, to string) {
		count++
		if _, err := os.Stat(to); err != nil {
			t.Errorf("%s: %v", from, err)
		}
	}
	for _, page := range pages {
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(readFile(t, page), -1) {
			exists(page, filepath.Join(folder, link[1]))
		}
	}
	named := regexp.MustCompile(folder + `[A-Za-z0-9._/-]*`)
	texts := map[string]string{folder + "/README.Debian": readFile(t, folder+"/README.Debian")}
	for _, page := range []string{"podgate(8)", "podgate.toml(5)"} {
		name, section, _ := strings.Cut(strings.TrimSuffix(page, ")"), "(")
		texts[page] = output("sh", "-c", "zcat /usr/share/man/man"+section+"/"+name+"."+section+".gz")
	}
	for from, text := range texts {
		for _, path := range named.FindAllString(strings.NewReplacer(`\-`, "-", `\&`, "").Replace(text), -1) {
			exists(from, strings.TrimRight(path, "."))
		}
	}
	if count < 15 {
		t.Errorf("only %d links", count)
	}
}
