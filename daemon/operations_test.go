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
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"podgate/daemon"
	"podgate/daemon/admin"
	"podgate/daemon/config"
	"podgate/haproxy/haproxytest"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// trouble is a row of operations.md: what is wrong, and what each place says.
type trouble struct {
	status, metrics, log []string
	code                 int
}

// readTroubles are the rows of the table, by their first cell.
func readTroubles(t *testing.T) map[string]trouble {
	t.Helper()
	text, err := os.ReadFile("../packaging/doc/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]trouble{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		code, err := strconv.Atoi(strings.TrimSpace(cells[min(2, len(cells)-1)]))
		if len(cells) != 6 || err != nil {
			continue
		}
		said := func(i int) []string { return strings.Split(strings.Trim(strings.TrimSpace(cells[i]), "`"), "`, `") }
		rows[said(0)[0]] = trouble{status: said(1), code: code, metrics: said(3), log: said(4)}
	}
	return rows
}

// TestWhateverIsWrongIsToldInFourPlaces provokes every row of the table of
// operations.md, and finds each of its texts.
func TestWhateverIsWrongIsToldInFourPlaces(t *testing.T) {
	rows := readTroubles(t)
	provoke := map[string]func(*town){
		"the API server is unreachable": func(tw *town) { tw.api.Stop() },
		"the token has expired":         func(tw *town) { tw.api.Misbehave(kubeapitest.RequireToken("another")); tw.api.CutWatches() },
		"podgate's role lacks a rule": func(tw *town) {
			tw.api.Misbehave(kubeapitest.Forbid("list", "services", "shop"), kubeapitest.Forbid("watch", "services", "shop"))
			tw.api.CutWatches()
		},
		"HAProxy is down": func(tw *town) { tw.haproxy.KillWorker() },
		"HAProxy's admin socket is dead": func(tw *town) {
			if err := os.Remove(tw.haproxy.Admin); err != nil {
				tw.t.Fatal(err)
			}
		},
		"your own HAProxy files are broken": func(tw *town) {
			base, err := os.ReadFile(tw.haproxy.Base)
			if err == nil {
				err = os.WriteFile(tw.haproxy.Base, append(base, "\n  nonsense here\n"...), 0o600)
			}
			if err != nil {
				tw.t.Fatal(err)
			}
			tw.reloading("more", newPod(tw.t, "more-0"))
		},
		"podgate.toml has an error": func(tw *town) { tw.configure("[nonsense]\nx = 1\n") },
		"this host is not one of its peers": func(tw *town) {
			tw.configure("[peers]\nnodes = [\"edge1.of-many=127.0.0.1:10024\"]\n")
		},
		"two Services claim the same route": func(tw *town) {
			tw.service("cart2", map[string]string{"path": "/cart"}, newPod(tw.t, "cart2-0"))
		},
		"a host is not granted": func(tw *town) {
			tw.configure("[[grant]]\nnamespace = \"shop\"\nhosts = [\"a.example.com\"]\n")
			tw.service("thief", map[string]string{"host": "b.example.com"}, newPod(tw.t, "thief-0"))
		},
		"an annotation is invalid": func(tw *town) {
			tw.service("fast", map[string]string{"algorithm": "fastest"}, newPod(tw.t, "fast-0"))
		},
		"a Service has no endpoints": func(tw *town) { tw.service("empty", nil) },
		"endpoints cannot be reached": func(tw *town) {
			p := newPod(tw.t, "gone-0")
			tw.service("gone", map[string]string{"check-interval": "100ms"}, p)
			p.server.Close()
		},
		"some servers fail their health checks": func(tw *town) {
			gone := newPod(tw.t, "half-0")
			tw.service("half", map[string]string{"check-interval": "100ms"}, gone, newPod(tw.t, "half-1"))
			gone.server.Close()
		},
		"a removal is unusually large": func(tw *town) {
			pods := []*pod{newPod(tw.t, "many-0")}
			port := pods[0].addr.Port()
			for i := range 11 {
				pods = append(pods, newPodOn(tw.t, fmt.Sprintf("many-%d", i+1), port))
			}
			tw.service("many", nil)
			// One slice, so that all of them go in one event.
			slice := kubeapi.EndpointSlice{
				Key: kubeapi.Key{Namespace: "shop", Name: "many-all"}, Service: "many", AddressType: "IPv4",
				Ports: []kubeapi.EndpointPort{{Name: "web", Protocol: "TCP", Port: port}},
			}
			none := slice
			for _, p := range pods {
				slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Addr: p.addr.Addr(), Ready: true, Serving: true})
			}
			if err := tw.api.SetSlice(slice); err != nil {
				tw.t.Fatal(err)
			}
			tw.awaitServers("shop_many_80", pods...)
			if err := tw.api.SetSlice(none); err != nil {
				tw.t.Fatal(err)
			}
		},
		"the node drains": func(tw *town) {
			c, err := config.Load(tw.toml)
			if err == nil {
				err = daemon.Drain(tw.t.Context(), c, daemon.DrainOptions{}, io.Discard)
			}
			if err != nil {
				tw.t.Error(err)
			}
		},
		"a certificate is about to expire": func(tw *town) {
			edge := tw.ending()
			edge.put("soon.pem", haproxytest.CertificateUntil(tw.t, time.Now().Add(20*time.Hour), "soon.test"))
			edge.setHTTPS()
			tw.service("soon", map[string]string{"host": "soon.test", "sslTerm": "true"}, newPod(tw.t, "soon-0"))
		},
		"a certificate file is rejected": func(tw *town) {
			edge := tw.ending()
			edge.put("broken.pem", []byte("nonsense\n"))
			edge.setHTTPS()
		},
		"HAProxy cannot load a Service": func(tw *town) {
			taken := tw.listen()
			tw.configure(fmt.Sprintf("[tcp]\naddresses = [%q]\nallowed_ports = [%d]\n", taken.Addr(), taken.Port()))
			tw.service("db", map[string]string{"tcp": fmt.Sprint(taken.Port())}, newPod(tw.t, "db-0"))
		},
	}
	if len(rows) != len(provoke) {
		t.Errorf("operations.md has %d rows, %d are provoked", len(rows), len(provoke))
	}
	for name, row := range rows {
		do, ok := provoke[name]
		if !ok {
			t.Errorf("%s: is not provoked", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw := newTown(t)
			tw.hurry, tw.page = true, tw.freeAddr()
			tw.service("cart", nil, newPod(t, "cart-0"))
			tw.start()
			tw.awaitAnswer("any", "/cart/", "200 cart-0 /")
			tw.awaitHealthy()
			do(tw)
			tw.awaitTold(row)
		})
	}
}

// TestErrorsOfTheConfigurationAreToldInOneLine has podgate.toml with two of them.
func TestErrorsOfTheConfigurationAreToldInOneLine(t *testing.T) {
	t.Parallel()
	tw := newTown(t)
	tw.hurry = true
	tw.service("cart", nil, newPod(t, "cart-0"))
	tw.start()
	tw.awaitHealthy()
	tw.configure("[nonsense]\nx = 1\n[madness]\nx = 1\n")
	want := regexp.MustCompile(`nonsense: unknown section; .*podgate.toml:[0-9]+: madness: unknown section`)
	eventually(t, "status tells both", func() error {
		s, err := admin.NewClient(tw.socket).Status(t.Context(), -1)
		if err != nil || !want.MatchString(s.Config.Error) {
			return fmt.Errorf("%q, %v", s.Config.Error, err)
		}
		return nil
	})
	if !want.MatchString(tw.log.String()) {
		t.Errorf("the log:\n%s", tw.log.String())
	}
}

// listen takes an address for as long as the test lasts.
func (tw *town) listen() netip.AddrPort {
	tw.t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(tw.http.Addr(), 0).String())
	if err != nil {
		tw.t.Fatal(err)
	}
	tw.t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// awaitHealthy waits until podgate has nothing to do either: its first reload
// has ended.
func (tw *town) awaitHealthy() {
	tw.t.Helper()
	eventually(tw.t, "status is ok", func() error {
		s, err := admin.NewClient(tw.socket).Status(tw.t.Context(), -1)
		if err != nil || s.Level != admin.Healthy || !s.InSync {
			return fmt.Errorf("%s %q, in sync %t, %v", s.Level, s.Reasons, s.InSync, err)
		}
		return nil
	})
}

// awaitTold waits until every place says what row says.
func (tw *town) awaitTold(row trouble) {
	tw.t.Helper()
	places := map[string]func() (text string, want []string){
		"status": func() (string, []string) {
			s, err := admin.NewClient(tw.socket).Status(tw.t.Context(), -1)
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
		"page":    func() (string, []string) { return html.UnescapeString(tw.fetch("/")), row.status },
		"metrics": func() (string, []string) { return "\n" + tw.fetch("/metrics"), lines(row.metrics) },
		"log":     func() (string, []string) { return strings.ReplaceAll(tw.log.String(), `\"`, `"`), row.log },
	}
	for place, look := range places {
		eventually(tw.t, place, func() error {
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

// lines has each text be a whole line.
func lines(texts []string) (all []string) {
	for _, text := range texts {
		all = append(all, "\n"+text+"\n")
	}
	return all
}

// fetch is a page of podgate's own, or why there is none.
func (tw *town) fetch(path string) string {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + tw.page.String() + path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
