//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// forged is what a client may write to pass for somebody else.
var forged = []string{"X-Forwarded-For: 198.51.100.66", "X-Real-IP: 198.51.100.66", "Forwarded: for=198.51.100.66"}

const forgedLine = "PROXY TCP4 203.0.113.10 10.60.0.11 1 80\r\n" // clientAddrs[0], who is let in

// asked is a request of somebody, and what has to come of it.
type asked struct {
	name        string
	machine     *machine
	from, addr  string
	proxy, path string
	lines       []string
	want        string // the status, and the answer without the pod's name
}

func (s *edgesStory) ask(t *testing.T, rows []asked) {
	t.Helper()
	for _, row := range rows {
		code, body, _, err := visit(row.machine, row.from, row.addr, row.proxy, row.path, row.lines...)
		_, told, _ := strings.Cut(body, " ")
		if code != http.StatusOK {
			told = ""
		}
		if got := strings.TrimSpace(fmt.Sprint(code, " ", told)); err != nil || got != row.want {
			t.Errorf("%s: got %q %q, %v, want %q", row.name, got, body, err, row.want)
		}
	}
	t.Logf("    %d ways to ask", len(rows))
}

func through(port int) string { return fmt.Sprintf("%s:%d", balancerOutside, port) }

func (s *edgesStory) clientByProxy(t *testing.T) {
	client, stranger := s.network.client, s.network.stranger
	edge := s.gateways[0].at(80)
	const tail = " X-Forwarded-Port=80 X-Forwarded-Proto=http"
	mine, other := clientAddrs[0], clientAddrs[1]
	s.ask(t, []asked{
		{"a client", client, mine, through(proxyPort), "", "/web/", nil, "200 X-Forwarded-For=" + mine + tail},
		{"a client that forges headers", client, other, through(proxyPort), "", "/web/", forged, "200 X-Forwarded-For=" + other + tail},
		{"a client that forges a PROXY line", client, other, through(proxyPort), forgedLine, "/web/", nil, "400"},
		{"a listed client", client, mine, through(proxyPort), "", "/guarded/", nil, "200 X-Forwarded-For=" + mine + tail},
		{"a client that is not listed", client, other, through(proxyPort), "", "/guarded/", forged, "403"},
		{"a stranger is its own client", stranger, "", edge, "", "/web/", forged, "200 X-Forwarded-For=" + strangerAddr + tail},
		{"a stranger that forges headers", stranger, "", edge, "", "/guarded/", []string{"X-Forwarded-For: " + mine}, "403"},
		{"a stranger that forges a PROXY line", stranger, "", edge, forgedLine, "/guarded/", nil, "400"},
	})
	s.logged(t, through(proxyPort), clientAddrs[2], "/web/in-the-log")

	// A TCP pod is told by a PROXY header of the edge's, whoever else says what.
	for _, row := range []struct {
		name       string
		machine    *machine
		from, addr string
		say, want  string
	}{
		{"a client", client, other, through(linesPort), "", other},
		{"a client that forges a PROXY line", client, other, through(linesPort), forgedLine, other},
		{"a stranger that forges a PROXY line", stranger, "", s.gateways[0].at(5432), forgedLine, strangerAddr},
	} {
		err := await(t.Context(), row.name, func() error {
			told, err := row.machine.firstLine(row.from, row.addr, row.say)
			if want := "PROXY TCP4 " + row.want + " "; err == nil && !strings.Contains(told, want) {
				return fmt.Errorf("a TCP pod was told %q, want %q", told, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// logged asks for a path, and wants a line of it that begins with the client's
// address in the access log of an edge.
func (s *edgesStory) logged(t *testing.T, addr, from, path string) {
	t.Helper()
	if code, body, _, err := visit(s.network.client, from, addr, "", path); code != http.StatusOK {
		t.Fatalf("%s: %d %q, %v", path, code, body, err)
	}
	err := await(t.Context(), "the access log", func() error {
		for _, g := range s.gateways {
			if line := g.log.find(path); line != "" {
				if !strings.Contains(line, " "+from+":") {
					t.Errorf("the access log says %q, want client %s", line, from)
				}
				return nil
			}
		}
		return fmt.Errorf("no line of %s", path)
	})
	if err != nil {
		t.Error(err)
	}
}

func (s *edgesStory) clientByForwarded(t *testing.T) {
	for _, g := range s.gateways {
		g.configure(t, byForwarded)
	}
	client, stranger := s.network.client, s.network.stranger
	mine, other := clientAddrs[0], clientAddrs[1]
	const tail = " X-Forwarded-Port=80 X-Forwarded-Proto=http"
	err := await(t.Context(), "X-Forwarded-For", func() error {
		for range 2 * len(s.gateways) { // in turn, so that each has it
			code, body, _, err := visit(client, mine, through(forwardedPort), "", "/web/")
			if err != nil || code != http.StatusOK || !strings.Contains(body, "X-Forwarded-For="+mine) {
				return fmt.Errorf("%d %q, %v", code, body, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	edge := s.gateways[0].at(80)
	s.ask(t, []asked{
		{"a client", client, mine, through(forwardedPort), "", "/web/", nil, "200 X-Forwarded-For=" + mine + tail},
		{"a client that forges headers", client, other, through(forwardedPort), "", "/web/", forged[:1], "200 X-Forwarded-For=" + other + tail},
		{"a listed client", client, mine, through(forwardedPort), "", "/guarded/", nil, "200 X-Forwarded-For=" + mine + tail},
		{"a client that is not listed", client, other, through(forwardedPort), "", "/guarded/", []string{"X-Forwarded-For: " + mine}, "403"},
		{"a stranger is its own client", stranger, "", edge, "", "/web/", forged, "200 X-Forwarded-For=" + strangerAddr + tail},
		{"a stranger that forges headers", stranger, "", edge, "", "/guarded/", []string{"X-Forwarded-For: " + mine}, "403"},
		{"a stranger that forges a PROXY line", stranger, "", edge, forgedLine, "/guarded/", nil, "400"},
	})
	s.logged(t, through(forwardedPort), clientAddrs[3], "/web/in-the-log-by-header")
}
