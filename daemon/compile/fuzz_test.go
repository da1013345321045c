// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"strings"
	"testing"

	"podgate/haproxy"
)

func FuzzPath(f *testing.F) {
	for _, value := range []string{"/", "", "/a", "/a/", "//", "/a//b", "/..", "/%2e%2E/x", "/%", "/%zz", "/a b", "/a*", "-i /A /b", "-i", "/a|b", "/ä", "true", "/" + strings.Repeat("a", 256)} {
		f.Add(value)
	}
	const characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:@+=%/"
	f.Fuzz(func(t *testing.T, value string) {
		var paths []string
		path, err := parsePath(value)
		if err == nil {
			paths = append(paths, string(path))
			if again, err := parsePath(string(path) + "/"); err != nil || again != path {
				t.Errorf("%q is %q, which is %q, %v", value, path, again, err)
			}
		} else {
			isPrintableLine(t, err.Error())
		}
		if matches, err := parseACLMatch(value); err == nil {
			for _, m := range matches {
				paths = append(paths, string(m.path))
			}
		}
		if rewrite, err := parseRewrite(value); err == nil {
			paths = append(paths, string(rewrite))
		}
		if check, err := parseCheckPath(value); err == nil {
			paths = append(paths, check)
		}
		for _, p := range paths {
			holdsOnly(t, p, characters)
			if len(p) > haproxy.MaxPath || strings.Contains(p, "//") || strings.Contains(p+"/", "/../") || p != "" && p[0] != '/' {
				t.Errorf("%q made the path %q", value, p)
			}
		}
	})
}

func FuzzName(f *testing.F) {
	for _, value := range []string{"web", "podgate", "PodGate_http", "shop_cart_80", "a:b", "-a", "_", "a b", "a\n", "ä", strings.Repeat("a", 129)} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		name, err := parseBackendName(value)
		if err != nil {
			isPrintableLine(t, err.Error())
			return
		}
		holdsOnly(t, name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-")
		if name != value || name == "" || len(name) > 128 || strings.HasPrefix(strings.ToLower(name), reservedName) {
			t.Errorf("%q is the name %q", value, name)
		}
		if namespace, ok := defaultNamespace(name); ok && !strings.HasPrefix(name, namespace+"_") {
			t.Errorf("%q is reserved for namespace %q", name, namespace)
		}
	})
}

func holdsOnly(t *testing.T, text, characters string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune(characters, r) }); i >= 0 {
		t.Errorf("%q holds %q", text, text[i])
	}
}

func isPrintableLine(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\n\r\x00\x1b") || len(text) > 1024 {
		t.Errorf("an error is not a printable line: %q", text)
	}
}
