// SPDX-License-Identifier: Apache-2.0

//go:build browser

package admin

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/guard"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// testPage is a View to show in the browser.
type testPage struct {
	name string
	view *View
}

// testPages returns an empty cluster, one with every problem, and a large one.
func testPages(t *testing.T) []testPage {
	t.Helper()
	return []testPage{{"empty", newView(t, 0, 0)}, {"trouble", troubledView(t)}, {"large", newView(t, 5000, 20)}}
}

// troubledView has twelve Services, which are in every state, and an edge with many
// problems.
func troubledView(t *testing.T) *View {
	t.Helper()
	v := newView(t, 12, 3)
	up := func(i, n int) { v.Health.Up[v.Result.State.Backends.At(i).Name] = n }
	up(1, 0)
	up(2, 1)
	v.Result.State.Backends.At(3).Servers = nil
	v.Result.State.Backends.At(6).Servers = nil
	key := func(i int) kubeapi.Key { return v.Snapshot.Services[i].Key }
	problem := func(i int, kind compile.Kind, annotation, text string) {
		v.Problems = append(v.Problems, Problem{Problem: compile.Problem{Kind: kind, Service: key(i), Port: "web", Key: annotation, Text: text}, Since: time.Now().Add(-time.Hour)})
	}
	problem(1, compile.Unhealthy, "", "no server passes its health check, clients get 503 (can this machine reach the pods? podgate explain shows the result of each check)")
	problem(3, compile.NoEndpoints, "", "no endpoints, clients get 503 (does the Service's selector match pods, and are they ready?)")
	problem(4, compile.Invalid, compile.Prefix+"algorithm", `"fastest" is not one of roundrobin, leastconn, first, source, random`)
	problem(5, compile.Conflict, compile.Prefix+"host", "a-very-long-name-of-a-host.somewhere-below.a-long-domain.example.com/with/a/long/path is taken by Service shop/svc-00001 port web, which is older")
	v.Edge.Removal = &guard.Removal{Since: time.Now().Add(-time.Minute), Until: time.Now().Add(4 * time.Minute), Loss: haproxy.Loss{Servers: 4100, OfServers: 5000, Backends: 210, OfBackends: 300}, Servers: map[string]int{v.Result.State.Backends.At(6).Name: 3}}
	v.Edge.Draining = true
	v.Certificates = []Certificate{{Source: "/etc/podgate/certificates/www.example.com.pem", Names: []string{"www.example.com"}, Expires: time.Now().Add(50 * time.Hour)}}
	v.CertificateProblems = []CertificateProblem{{File: "/etc/podgate/certificates/broken.pem", Text: "holds no PEM"}}
	v.ConfigError = `/etc/podgate/podgate.toml:5: kubernetes.poll_intervall: unknown key (did you mean "poll_interval"?)`
	v.Edge.InSync, v.Edge.Trouble = false, "observe HAProxy: dial unix /run/haproxy/admin.sock: connect: permission denied (is podgate in group haproxy?)"
	for i := range 9 {
		v.Changes = append(v.Changes, &Change{
			At: time.Now().Add(time.Duration(i) * time.Second), What: fmt.Sprintf("HAProxy reloaded: backend shop_svc-%05d_80 is new", i),
			How: ByReload, Waited: Seconds(1234 * time.Millisecond), Took: Seconds(200 * time.Millisecond), Why: "backend is new",
		})
	}
	return v
}

// serve serves a View as podgate does.
func serve(t *testing.T, v *View) string {
	t.Helper()
	s := newServer(v)
	server := httptest.NewServer(s.checkHost(s.routes()))
	t.Cleanup(server.Close)
	return server.URL
}

// screenshot saves a screenshot if $SCREENSHOTS is a folder.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// TestBrowserPagesAreAccessible opens every page without Services, with problems and
// with 5,000 Services, light and dark, on a desktop and on a phone: the console is
// empty, nothing is too wide, and axe-core has no findings.
func TestBrowserPagesAreAccessible(t *testing.T) {
	axe, err := os.ReadFile(os.Getenv("AXE"))
	if err != nil {
		t.Fatalf("%v (AXE=$(testdata/axe/fetch.sh))", err)
	}
	b := startBrowser(t)
	for _, page := range testPages(t) {
		url := serve(t, page.view)
		for name, path := range map[string]string{"status": "/", "history": "/history", "explain": "/explain?of=shop/svc-00001"} {
			if page.name == "large" && name != "status" {
				continue // it is no other than the smaller ones
			}
			for _, width := range []int{1280, 390} {
				for _, scheme := range []string{"light", "dark"} {
					b.setViewport(width, scheme)
					b.open(url + path)
					what := fmt.Sprintf("%s-%s-%d-%s", page.name, name, width, scheme)
					b.screenshot(what)
					if scroll := b.text("`${document.documentElement.scrollWidth} of ${innerWidth}`"); scroll != fmt.Sprintf("%d of %[1]d", width) {
						t.Errorf("%s: is too wide: %s", what, scroll)
					}
					if scheme == "light" || width > 1000 { // the colours are the same on both
						for _, violation := range b.axe(string(axe), scheme) {
							t.Errorf("%s: %s", what, violation)
						}
					}
					b.checkConsole(what)
				}
			}
		}
	}
}

// axe returns the findings of axe-core: in light of all rules except the
// experimental ones, in dark of those for colors.
func (b *browser) axe(source, scheme string) (all []string) {
	b.t.Helper()
	b.eval(source+";0", nil)
	rules, least := "{}", 10
	if scheme == "dark" {
		rules, least = `{runOnly: ["color-contrast"]}`, 1
	}
	var found struct {
		Passes     int
		Violations []struct {
			ID, Help string
			Nodes    []struct{ HTML, Summary string }
		}
	}
	b.eval(`axe.run(`+rules+`).then(r => ({passes: r.passes.length, violations: r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.slice(0, 3).map(n => ({html: n.html, summary: n.failureSummary}))}))}))`, &found)
	if found.Passes < least {
		b.t.Errorf("axe-core checked hardly anything: %d rules pass", found.Passes)
	}
	for _, v := range found.Violations {
		for _, n := range v.Nodes {
			all = append(all, fmt.Sprintf("axe-core: %s: %s\n%s\n%s", v.ID, v.Help, n.HTML, n.Summary))
		}
	}
	return all
}

// TestBrowserKeyboard uses the page without a mouse, with and without JavaScript: it
// skips to the content, searches, and sorts in both directions.
func TestBrowserKeyboard(t *testing.T) {
	b := startBrowser(t)
	url := serve(t, newView(t, 5000, 2))
	for _, off := range []bool{false, true} {
		t.Run(map[bool]string{false: "with JavaScript", true: "without"}[off], func(t *testing.T) {
			b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": off}, nil)
			b.setViewport(1280, "light")
			b.open(url + "/?refresh=off")
			b.press("Tab")
			if got := b.focus(); got != "Skip to the content" {
				t.Errorf("the first Tab leads to %q", got)
			}
			b.press("Enter")
			b.press("Tab")
			if got := b.focus(); got != "q" {
				t.Errorf("after the skipped links comes %q, not the search", got)
			}
			b.call("Input.insertText", map[string]any{"text": "svc-00042"}, nil)
			b.follow()
			if page := b.page(); !strings.Contains(page, "1 to 1 of 1 matches (of 5000)") || !strings.Contains(page, ">shop/svc-00042<") {
				t.Errorf("the search does not find it:\n%s", page)
			}
			b.open(url + "/")
			b.tabTo("Service")
			for _, row := range []struct{ sort, order, first string }{{"service", "ascending", "svc-00000"}, {"-service", "descending", "svc-04999"}} {
				b.follow()
				page := b.page()
				_, rows, _ := strings.Cut(page, "<tbody>")
				if !strings.Contains(page, `aria-sort="`+row.order+`"`) || !strings.Contains(strings.SplitN(rows, "</tr>", 2)[0], row.first) {
					t.Errorf("%s: the table is not sorted %s:\n%.3000s", row.sort, row.order, page)
				}
				b.tabTo("Service")
			}
			b.checkConsole("page")
		})
	}
}

// follow presses Enter, and waits for the next page.
func (b *browser) follow() {
	b.t.Helper()
	b.discard("Page.loadEventFired")
	b.press("Enter")
	b.await("Page.loadEventFired")
}

// tabTo presses Tab until an element has the focus.
func (b *browser) tabTo(want string) {
	b.t.Helper()
	for range 40 {
		b.press("Tab")
		if b.focus() == want {
			return
		}
	}
	b.t.Fatalf("no Tab leads to %q", want)
}

// focus is the focused element: the id of a field, or the text of a link. It uses the
// inspector, which works without JavaScript.
func (b *browser) focus() string {
	b.t.Helper()
	var document struct{ Root struct{ NodeID int } }
	b.call("DOM.getDocument", map[string]any{"depth": 0}, &document)
	var found struct{ NodeID int }
	b.call("DOM.querySelector", map[string]any{"nodeId": document.Root.NodeID, "selector": ":focus"}, &found)
	if found.NodeID == 0 {
		return ""
	}
	var described struct {
		Node struct {
			LocalName  string
			Attributes []string
			Children   []struct{ NodeValue string }
		}
	}
	b.call("DOM.describeNode", map[string]any{"nodeId": found.NodeID, "depth": 1}, &described)
	n := described.Node
	if i := slices.Index(n.Attributes, "id"); i >= 0 && n.LocalName != "a" {
		return n.Attributes[i+1]
	}
	text := ""
	for _, child := range n.Children {
		text += child.NodeValue
	}
	return text
}

// page is the current HTML.
func (b *browser) page() string {
	b.t.Helper()
	var document struct{ Root struct{ NodeID int } }
	b.call("DOM.getDocument", nil, &document)
	var html struct{ OuterHTML string }
	b.call("DOM.getOuterHTML", map[string]any{"nodeId": document.Root.NodeID}, &html)
	return html.OuterHTML
}

// TestBrowserThePageRefreshes has the page show a new state without moving the focus,
// and reload without JavaScript.
func TestBrowserThePageRefreshes(t *testing.T) {
	s := newServer(newView(t, 12, 3))
	server := httptest.NewServer(s.checkHost(s.routes()))
	t.Cleanup(server.Close)
	b := startBrowser(t)
	b.setViewport(1280, "light")
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	b.open(server.URL)
	if page := b.page(); !strings.Contains(page, `<meta http-equiv="refresh" content="10">`) {
		t.Errorf("without JavaScript the page does not reload:\n%.1000s", page)
	}
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": false}, nil)
	b.open(server.URL)
	b.tabTo("shop/svc-00007")
	s.Publish(troubledView(t))
	b.call("Emulation.setVirtualTimePolicy", map[string]any{"policy": "advance", "budget": 11000}, nil)
	b.await("Emulation.virtualTimeBudgetExpired")
	b.call("Emulation.setVirtualTimePolicy", map[string]any{"policy": "advance"}, nil)
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(b.text("document.querySelector('main').innerText"), "podgate holds the removal of 4100 of 5000 servers") {
		if time.Now().After(deadline) {
			t.Fatalf("the page stays as it was:\n%s", b.text("document.body.innerText"))
		}
	}
	if title := b.text("document.title"); title != "critical - podgate" {
		t.Errorf("the title is %q", title)
	}
	if at := b.text("document.activeElement.textContent"); at != "shop/svc-00007" {
		t.Errorf("the focus is on %q", at)
	}
	b.checkConsole("page")
}

// paintLimit is the maximum time to the first paint with 5,000 Services.
const paintLimit = 300 * time.Millisecond

// TestBrowserFirstPaint measures the time from the click to the first content, and
// that of a file with the same bytes and style sheet. The best of several counts,
// because the machine may be busy.
func TestBrowserFirstPaint(t *testing.T) {
	url := serve(t, newView(t, 5000, 20))
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	header := maps.Clone(resp.Header)
	file := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			newServer(nil).routes().ServeHTTP(w, r)
			return
		}
		maps.Copy(w.Header(), header)
		_, _ = w.Write(page)
	}))
	t.Cleanup(file.Close)
	b := startBrowser(t)
	b.setViewport(1280, "light")
	paint := func(url string) time.Duration {
		best := time.Hour
		for range 7 {
			b.open(url)
			var ms float64
			b.eval(`new Promise(done => new PerformanceObserver(list => done(list.getEntriesByName("first-contentful-paint")[0].startTime)).observe({type: "paint", buffered: true}))`, &ms)
			best = min(best, time.Duration(ms*float64(time.Millisecond)))
		}
		return best
	}
	own, plain := paint(url), paint(file.URL)
	result, err := json.Marshal(map[string]any{"services": 5000, "bytes": len(page), "first_paint_ms": own.Milliseconds(), "static_file_ms": plain.Milliseconds()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", result)
	if own > max(paintLimit, 2*plain) { // if even the file takes long, the machine is busy
		t.Errorf("first paint after %v, want %v at most, or twice the %v of a file with the same bytes", own, paintLimit, plain)
	}
}
