// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
)

// What fits one screen.
const (
	screenProblems     = 8
	screenCertificates = 4
	screenServices     = 12
	screenChanges      = 6
)

// Print writes the status as one screen.
func (s Status) Print(w io.Writer, style Style) {
	p := printer{w, style}
	p.line("%s  podgate %s, %s", p.paint(s.Level.color(), strings.ToUpper(string(s.Level))), s.Version, s.syncText())
	for _, r := range s.Reasons {
		p.uncut("0", r)
	}
	p.line("")
	p.table(nil, s.facts(), nil)
	problems := make([]string, len(s.Problems))
	for i, x := range s.Problems {
		problems[i] = x.String()
	}
	p.warn("PROBLEMS", problems, screenProblems)
	p.warn("EXPIRING CERTIFICATES", s.endingLines(), screenCertificates)
	p.services(s)
	p.changes(s.Changes, screenChanges, "LAST CHANGES")
}

// facts returns lines of a name and a text.
func (s Status) facts() [][]string {
	facts := [][]string{
		{"API server", s.API.text(s.At)},
		{"HAProxy", s.HAProxy.text(s.At)},
		{"podgate.toml", s.Config.File + ", " + s.Config.text()},
		{"Serves", s.Count.text(s.HAProxy.Answers)},
	}
	if len(s.Certificates) > 0 {
		facts = append(facts, []string{"Certificates", s.certificatesText()})
	}
	return facts
}

func (s Status) syncText() string {
	text := "out of sync"
	if s.Level == Healthy {
		text = "syncing"
	}
	if s.InSync {
		text = "in sync"
	}
	if s.Since.IsZero() {
		return text
	}
	return text + " for " + ago(s.At.Sub(s.Since))
}

// syncTitle is syncText, with the level unless it is ok: not everybody sees colors.
func (s Status) syncTitle() string {
	text := s.syncText()
	if s.Level != Healthy {
		text = string(s.Level) + ": " + text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func (a StatusAPI) text(now time.Time) string {
	text := a.Server
	switch {
	case len(a.Conditions) > 0:
		text += fmt.Sprintf(", %s for %s", a.Conditions[0].Kind, ago(now.Sub(a.Conditions[0].Since)))
	case a.Heard == nil:
		return text + ", not reached yet"
	case a.Polling:
		text += ", polling"
	default:
		text += ", watching"
	}
	if a.Heard == nil {
		return text
	}
	return text + ", last answer " + ago(now.Sub(*a.Heard)) + " ago"
}

func (h StatusHAProxy) text(now time.Time) string {
	if !h.Answers {
		return "does not answer"
	}
	text := fmt.Sprintf("%s, process %d", h.Version, h.Pid)
	if h.Generation != "" {
		text += ", configuration " + h.Generation
	}
	if h.OldWorkers > 0 {
		text += fmt.Sprintf(", %d old workers", h.OldWorkers)
	}
	if h.ReloadAt != nil {
		text += ", a reload is due in " + ago(max(0, h.ReloadAt.Sub(now)))
	}
	return text
}

func (c StatusConfig) text() string {
	if c.Error != "" {
		return "invalid, the previous version is in force"
	}
	return "in force"
}

func (c StatusCount) text(answers bool) string {
	s := c.Servers
	text := fmt.Sprintf("%d of %d Services, %d routes, servers: ", c.Served, c.Services, c.Routes)
	if !answers {
		return text + fmt.Sprintf("%d (state unknown)", s.Up+s.Drain)
	}
	text += fmt.Sprintf("%d up", s.Up)
	for _, part := range []struct {
		n    int
		word string
	}{{s.Down, "down"}, {s.Drain, "drain"}, {s.Leaving, "leaving"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.word)
		}
	}
	return text
}

func (p printer) services(s Status) {
	if len(s.Services) == 0 {
		return
	}
	p.head("SERVICES")
	rows := append([]Row{}, s.Services...)
	sortRows(rows, "state")
	if !p.All {
		rows = limit(rows, screenServices)
	}
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = []string{string(r.State), r.Service, serversText(r), cmp.Or(urlsText(r.URLs), r.Why)}
	}
	p.table([]string{"STATE", "SERVICE", "UP", "URL"}, cells, func(i int) string { return rows[i].State.color() })
	p.more(s.Count.Services-len(rows), "podgate status --all")
}

func urlsText(urls []string) string {
	const most = 3
	if more := len(urls) - most; more > 0 {
		return strings.Join(urls[:most], " ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(urls, " ")
}

func (s ServiceState) color() string {
	switch s {
	case StateUp:
		return "0"
	case StateSkipped:
		return faint
	case StateDegraded, StateHeld, StateWaiting, StateUnknown:
		return yellow
	}
	return red
}

// Print writes all changes, the newest first.
func (h History) Print(w io.Writer, style Style) {
	p := printer{w, style}
	if len(h.Changes) == 0 {
		p.line("no changes yet")
		return
	}
	p.changes(h.Changes, len(h.Changes), "CHANGES")
}

func (p printer) changes(changes []*Change, most int, title string) {
	if len(changes) == 0 {
		return
	}
	p.head(title)
	changes = limit(changes, most)
	rows := make([][]string, len(changes))
	for i, c := range changes {
		rows[i] = []string{c.At.Local().Format("Jan _2 15:04:05"), string(c.How), waitedText(c), c.text()}
	}
	p.table([]string{"WHEN", "HOW", "AFTER", "WHAT"}, rows, nil)
}

func waitedText(c *Change) string {
	if c.Waited == 0 {
		return ""
	}
	return short(time.Duration(c.Waited))
}

// text is the change, its object and its reason.
func (c *Change) text() string {
	text := c.What
	if c.Service != "" {
		text = c.Service + ": " + text
	}
	if c.Object != "" {
		text += " (" + c.Object
		if c.Version != "" {
			text += " at " + c.Version
		}
		text += ")"
	}
	if c.Why != "" {
		text += ": " + c.Why
	}
	return text
}

func (l Level) color() string {
	switch l {
	case Healthy:
		return green
	case Degraded:
		return yellow
	}
	return red
}
