// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestARequestWithoutARouteGetsTheDefaultStatus(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "all.pem", "any.test", "shop.test")
	e.service(t, "shop", map[string]string{"host": "shop.test", "sslTerm": "true"}, newPod(t, "shop-0"))
	e.start(t)
	e.awaitTLSAnswer(t, "shop.test", "/", "200 shop-0 /")
	e.awaitTLSAnswer(t, "any.test", "/x", notFound)
	for _, row := range []struct {
		status int
		want   string
	}{
		{503, "503 503 no Service is reached by this host and path"},
		{200, "200 200 no Service is reached by this host and path"},
	} {
		e.Set("http.default_status", row.status)
		e.setHTTPS(t)
		e.awaitTLSAnswer(t, "any.test", "/x", row.want)
		e.awaitAnswer(t, "any.test", "/x", row.want)
		e.awaitTLSAnswer(t, "shop.test", "/", "200 shop-0 /")
	}
	page := filepath.Join(e.folder, "page.txt")
	must(t, os.WriteFile(page, []byte("nothing here\n"), 0o644))
	e.Set("http.default_status", 410)
	e.Set("http.not_found", page)
	e.setHTTPS(t)
	e.awaitAnswer(t, "any.test", "/x", "410 nothing here")
	e.awaitTLSAnswer(t, "any.test", "/x", "410 nothing here")
	text, err := e.explain(t, "http://any.test/x", strings.NewReplacer())
	must(t, err)
	if want := "no route matches: HAProxy answers 410"; !strings.Contains(text, want) {
		t.Errorf("explain: got\n%s\nwant %q", text, want)
	}
}
