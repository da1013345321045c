// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"podgate/daemon/compile"
)

// Print writes the explanation as text.
func (x Explanation) Print(w io.Writer, style Style) {
	p := printer{w, style}
	switch {
	case x.Service != nil:
		p.service(x.Service)
	case x.URL != nil:
		p.url(x.URL)
	}
	for _, s := range x.Servers {
		p.line("%s port %s", p.paint(bold, "Service "+s.Service), s.Port.Label())
		p.port(s.Port)
	}
}

func (p printer) service(s *ExplainedService) {
	p.line("%s: %s", p.paint(bold, "Service "+s.Service), p.paint(s.State.color(), s.Why))
	about := "resource version " + orNone(s.ResourceVersion)
	if !s.Created.IsZero() {
		about += ", created " + s.Created.UTC().Format(time.RFC3339)
	}
	if s.Type != "" {
		about += ", type " + s.Type
	}
	p.line("  %s", about)
	if s.Trouble != "" {
		p.line("  %s", p.paint(red, s.Trouble))
	}
	if len(s.Problems) > 0 {
		p.head("Problems")
		for _, x := range s.Problems {
			p.uncut(yellow, x.about())
		}
	}
	for _, port := range s.Ports {
		p.head("Port " + port.Label())
		p.port(port)
	}
	p.annotations(s.Annotations)
	if len(s.Conflicts) > 0 {
		p.head("Conflicts")
		for _, c := range s.Conflicts {
			why := ""
			if c.Why != "" {
				why = ", which " + c.Why
			}
			p.line("  %s: %s has it%s; %s does not", c.What, c.Winner, why, c.Loser)
		}
	}
	if len(s.Lines) > 0 {
		p.head("HAProxy configuration")
		for _, line := range s.Lines {
			p.uncut(faint, line)
		}
	}
}

func (p printer) annotations(all []compile.ExplainedAnnotation) {
	if len(all) == 0 {
		return
	}
	p.head("Annotations")
	for _, a := range all {
		p.line("  %s: %s", a.Key, compile.Quote(a.Value, 200))
		switch {
		case a.Problem != "":
			p.uncut(yellow, "    "+a.Problem)
			if a.Meaning != "" {
				p.line("      understood as %s", a.Meaning)
			}
		case a.Meaning != "" && len(a.Ports) > 0:
			ports := "port"
			if len(a.Ports) > 1 {
				ports = "ports"
			}
			p.line("      understood as %s, for %s %s", a.Meaning, ports, strings.Join(a.Ports, ", "))
		case len(a.Ports) == 0:
			p.line("      has no effect")
		}
	}
}

func (p printer) port(x ExplainedPort) {
	if x.BackendName == "" {
		p.line("  %s", p.paint(red, "not served"))
	} else {
		p.line("  backend   %s", x.BackendName)
		p.line("  settings  %s", x.Policy)
	}
	for i, r := range x.Reached {
		label := "URL       "
		if i > 0 {
			label = "          "
		}
		text := r.URL
		if r.Rewrite != "" {
			text += "   (" + r.Rewrite + ")"
		}
		p.line("  %s%s", label, text)
	}
	for _, l := range x.Listens {
		p.line("  URL       %s", l)
	}
	if x.Pending != "" {
		p.line("  %s", p.paint(yellow, x.Pending))
	}
	p.servers(x)
}

func (p printer) servers(x ExplainedPort) {
	if x.Note != "" {
		p.line("  %s", p.paint(red, x.Note))
	}
	if len(x.Servers) == 0 {
		return
	}
	rows := make([][]string, len(x.Servers))
	for i, s := range x.Servers {
		sessions := "-"
		if s.HAProxy != "" {
			sessions = fmt.Sprint(s.Sessions)
		}
		rows[i] = []string{s.Addr, cmp.Or(s.State.String(), "-"), s.haproxyText(), sessions, s.about()}
	}
	p.table([]string{"ENDPOINT", "PODGATE", "HAPROXY", "SESSIONS", "ABOUT"}, rows, func(i int) string {
		switch s := x.Servers[i]; {
		case strings.HasPrefix(s.HAProxy, "DOWN"), s.State != 0 && s.HAProxy == "" && x.BackendName != "":
			return red
		case s.State == 0:
			return faint
		}
		return "0"
	})
}

func (s ExplainedServer) haproxyText() string {
	switch {
	case s.HAProxy == unknown:
		return unknown
	case s.HAProxy == "" && s.State != 0:
		return "not there"
	case s.HAProxy == "":
		return "-"
	}
	text := s.HAProxy
	if s.Check != "" {
		text += " " + s.Check
	}
	return text + ", for " + ago(time.Duration(s.Since))
}

func (s ExplainedServer) about() string {
	var words []string
	if s.Why != "" {
		words = append(words, s.Why)
	}
	if s.Pod != "" {
		words = append(words, "pod "+s.Pod)
	}
	if s.Node != "" {
		words = append(words, "node "+s.Node)
	}
	if s.Slice != "" {
		words = append(words, "slice "+s.Slice+" at "+s.Version)
	}
	return strings.Join(words, ", ")
}

func (p printer) url(x *ExplainedURL) {
	p.line("%s %s", p.paint(bold, strings.TrimSpace(x.Method+" "+x.URL)), x.Verdict)
	for _, h := range x.Headers {
		p.line("  header    %s", h)
	}
	if x.Frontend != "" {
		p.line("  frontend  %s on %s", x.Frontend, strings.Join(x.Binds, ", "))
	}
	p.tls(x.TLS)
	if x.Path != "" {
		p.line("  the pod sees the path %s", x.Path)
	}
	if x.HAProxy != "" {
		p.line("  HAProxy   %s", x.HAProxy)
	}
	if x.Rule != nil {
		p.rule(x.Rule)
	}
	if len(x.Matches) > 0 {
		p.head("Matching routes")
		rows := make([][]string, len(x.Matches))
		for i, m := range x.Matches {
			rows[i] = []string{m.Route, cmp.Or(m.Origin, "Service "+m.Service), strings.Join(append([]string{m.Why}, m.Conditions...), ", ")}
		}
		p.table(nil, rows, nil)
	}
	if len(x.Unmet) > 0 {
		p.head("Routes whose conditions the request does not meet")
		rows := make([][]string, len(x.Unmet))
		for i, u := range x.Unmet {
			rows[i] = []string{u.Route, u.Origin, "not met: " + strings.Join(u.Unmet, ", ")}
		}
		p.table(nil, rows, nil)
	}
	if len(x.Near) > 0 {
		p.head("Similar")
		for _, n := range x.Near {
			p.line("  %s", n)
		}
	}
	if x.Port != nil {
		p.head("Service " + x.Service + " port " + x.Port.Label())
		p.port(*x.Port)
	}
	if x.Rule != nil {
		for _, t := range x.Rule.Targets {
			if t.Port != nil {
				p.head("Service " + t.Service)
				p.port(*t.Port)
			}
		}
	}
}
