// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/config"
	"podgate/daemon/drain"
	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi/kubeapitest"
)

// trouble is a row of operations.md: what each place shows while the problem lasts.
type trouble struct {
	status, metrics, log []string
	code                 int
}

// readTroubles reads the rows of the table, by their first cell.
func readTroubles(t *testing.T) map[string]trouble {
	t.Helper()
	text, err := os.ReadFile("../packaging/doc/operations.md")
	must(t, err)
	rows := map[string]trouble{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		code, err := strconv.Atoi(strings.TrimSpace(cells[min(2, len(cells)-1)]))
		if len(cells) != 6 || err != nil {
			continue
		}
		texts := func(i int) []string { return strings.Split(strings.Trim(strings.TrimSpace(cells[i]), "`"), "`, `") }
		rows[texts(0)[0]] = trouble{status: texts(1), code: code, metrics: texts(3), log: texts(4)}
	}
	return rows
}

// TestEveryProblemIsShownInFourPlaces provokes every row of the table of operations.md,
// and finds each of its texts.
func TestEveryProblemIsShownInFourPlaces(t *testing.T) {
	t.Parallel()
	rows := readTroubles(t)
	provoke := map[string]func(*testing.T, *edge){
		"the API server is unreachable": func(t *testing.T, e *edge) { e.Cluster.Stop() },
		"the token has expired": func(t *testing.T, e *edge) {
			e.Cluster.Misbehave(kubeapitest.RequireToken("another"))
			e.Cluster.CutWatches()
		},
		"podgate's role lacks a rule": func(t *testing.T, e *edge) {
			e.Cluster.Misbehave(kubeapitest.Forbid("list", "services", "shop"), kubeapitest.Forbid("watch", "services", "shop"))
			e.Cluster.CutWatches()
		},
		"the API server sends too much": func(t *testing.T, e *edge) {
			e.Cluster.Misbehave(kubeapitest.Break("list", "services", "shop", func(w http.ResponseWriter, _ *http.Request) {
				_, err := io.WriteString(w, `{"kind":"`)
				for err == nil { // a string without end
					_, err = io.WriteString(w, strings.Repeat("x", 64<<10))
				}
			}))
			e.Cluster.ExpireVersions()
			e.Cluster.Misbehave(kubeapitest.FailWatches(http.StatusInternalServerError, 1000))
		},
		"HAProxy is down": func(t *testing.T, e *edge) { e.HAProxy.KillWorker() },
		"HAProxy's admin socket is dead": func(t *testing.T, e *edge) {
			must(t, os.Remove(e.HAProxy.Admin))
		},
		"your own HAProxy files are broken": func(t *testing.T, e *edge) {
			base, err := os.ReadFile(e.HAProxy.Base)
			if err == nil {
				err = os.WriteFile(e.HAProxy.Base, append(base, "\n  nonsense here\n"...), 0o600)
			}
			must(t, err)
			e.serviceWithReload(t, "more", newPod(t, "more-0"))
		},
		"podgate.toml has an error": func(t *testing.T, e *edge) { e.configure(t, "[nonsense]\nx = 1\n") },
		"this host is not one of its peers": func(t *testing.T, e *edge) {
			e.configure(t, "[peers]\nnodes = [\"edge1.of-many=127.0.0.1:10024\"]\n")
		},
		"two Services claim the same route": func(t *testing.T, e *edge) {
			e.service(t, "cart2", map[string]string{"path": "/cart"}, newPod(t, "cart2-0"))
		},
		"a host is not granted": func(t *testing.T, e *edge) {
			e.configure(t, "[[grant]]\nnamespace = \"shop\"\nhosts = [\"a.example.com\"]\n")
			e.service(t, "thief", map[string]string{"host": "b.example.com"}, newPod(t, "thief-0"))
		},
		"an annotation is invalid": func(t *testing.T, e *edge) {
			e.service(t, "fast", map[string]string{"algorithm": "fastest"}, newPod(t, "fast-0"))
		},
		"a Service has no endpoints": func(t *testing.T, e *edge) { e.service(t, "empty", nil) },
		"endpoints cannot be reached": func(t *testing.T, e *edge) {
			p := newPod(t, "gone-0")
			e.service(t, "gone", map[string]string{"check-interval": "100ms"}, p)
			p.Close()
		},
		"some servers fail their health checks": func(t *testing.T, e *edge) {
			gone := newPod(t, "half-0")
			e.service(t, "half", map[string]string{"check-interval": "100ms"}, gone, newPod(t, "half-1"))
			gone.Close()
		},
		"a removal is unusually large": func(t *testing.T, e *edge) {
			port := newPod(t, "any").Addr.Port()
			var pods []*edgetest.Pod
			for i := range 12 {
				pods = append(pods, newPodOf(t, edgetest.PodOptions{Name: fmt.Sprintf("many-%d", i), Port: port}))
			}
			e.service(t, "many", nil, pods...)
			e.awaitServers(t, "shop_many_80", pods...)
			e.endpoints(t, "many") // one slice has all of them, so they are removed together
		},
		"the node drains": func(t *testing.T, e *edge) {
			c, err := config.Load(e.TOML)
			if err == nil {
				err = drain.Begin(t.Context(), c, drain.Options{}, io.Discard)
			}
			if err != nil {
				t.Error(err)
			}
		},
		"a namespace causes reload after reload": func(t *testing.T, e *edge) {
			change := func(maxconn int) {
				e.service(t, "cart", map[string]string{"maxconn": fmt.Sprint(maxconn)}, e.pods["cart"]...)
			}
			e.causeReloads(t, change)
			change(1000)
		},
		"a certificate is about to expire": func(t *testing.T, e *edge) {
			ends := e.withTLS(t)
			ends.put(t, "soon.pem", haproxytest.CertificateUntil(t, time.Now().Add(20*time.Hour), "soon.test"))
			ends.setHTTPS(t)
			e.service(t, "soon", map[string]string{"host": "soon.test", "sslTerm": "true"}, newPod(t, "soon-0"))
		},
		"a certificate file is rejected": func(t *testing.T, e *edge) {
			ends := e.withTLS(t)
			ends.put(t, "broken.pem", []byte("nonsense\n"))
			ends.setHTTPS(t)
		},
		"HAProxy cannot load a Service": func(t *testing.T, e *edge) {
			taken := e.listen(t)
			e.configure(t, fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d]\n", taken.Addr(), taken.Port()))
			e.service(t, "db", map[string]string{"tcp": fmt.Sprint(taken.Port())}, newPod(t, "db-0"))
		},
	}
	if len(rows) != len(provoke) {
		t.Errorf("operations.md has %d rows, the test provokes %d", len(rows), len(provoke))
	}
	for name, row := range rows {
		do, ok := provoke[name]
		if !ok {
			t.Errorf("%s: the test does not provoke it", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			e.hurry = true
			page := e.servePage(t)
			e.serveCart(t)
			e.awaitHealthy(t)
			do(t, e)
			e.awaitShown(t, row, page)
		})
	}
}

// servePage makes podgate serve its status page and metrics at the returned address.
func (e *edge) servePage(t *testing.T) netip.AddrPort {
	t.Helper()
	page := e.freeAddr(t)
	e.set(t, "admin.listen", []string{page.String()})
	return page
}

// listen occupies an address until the end of the test.
func (e *edge) listen(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(e.HTTP.Addr(), 0).String())
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// awaitHealthy waits until status is ok and the first reload has ended.
func (e *edge) awaitHealthy(t *testing.T) {
	t.Helper()
	eventually(t, "status is ok", func() error {
		s, err := admin.NewClient(e.Socket).Status(t.Context(), -1)
		if err != nil || s.Level != admin.Healthy || !s.InSync {
			return fmt.Errorf("%s %q, in sync %t, %v", s.Level, s.Reasons, s.InSync, err)
		}
		return nil
	})
}

// awaitShown waits until every place shows the texts of row.
func (e *edge) awaitShown(t *testing.T, row trouble, page netip.AddrPort) {
	t.Helper()
	places := map[string]func() (text string, want []string){
		"status": func() (string, []string) {
			s, err := admin.NewClient(e.Socket).Status(t.Context(), -1)
			if err != nil {
				return err.Error(), row.status
			}
			if s.Level.ExitCode() != row.code {
				return fmt.Sprintf("exit code %d", s.Level.ExitCode()), []string{fmt.Sprintf("exit code %d", row.code)}
			}
			var text bytes.Buffer
			s.Print(&text, admin.Style{})
			return text.String(), row.status
		},
		"page":    func() (string, []string) { return html.UnescapeString(fetch(t, page, "/")), row.status },
		"metrics": func() (string, []string) { return fetch(t, page, "/metrics") + "\n", lines(row.metrics) },
		"log":     func() (string, []string) { return strings.ReplaceAll(e.Log.String(), `\"`, `"`), row.log },
	}
	for place, look := range places {
		eventually(t, place, func() error {
			text, wants := look()
			for _, want := range wants {
				if want == "" || !strings.Contains(text, want) {
					return fmt.Errorf("no %q in\n%s", want, text)
				}
			}
			return nil
		})
	}
}

// lines makes each text match only a whole line.
func lines(texts []string) (all []string) {
	for _, text := range texts {
		all = append(all, "\n"+text+"\n")
	}
	return all
}

// fetch returns a page of podgate's admin server after its status, or the error.
func fetch(t *testing.T, page netip.AddrPort, path string) string {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	text, err := edgetest.Fetch(t.Context(), client, page.String(), "http://"+page.String()+path)
	if err != nil {
		return err.Error()
	}
	return text
}
