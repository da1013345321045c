// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

//go:embed web
var web embed.FS

const (
	refreshSeconds = 10
	pageServices   = 100 // on one page
	pageProblems   = 50  // and as many certificates
	pageChanges    = 10
)

func newTemplates() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"servers": serversText,
		"urls":    func(r Row) string { return cmp.Or(urlsText(r.URLs), r.Why) },
		"class":   func(s ServiceState) string { return strings.ReplaceAll(string(s), " ", "-") },
	}).ParseFS(web, "web/page.html"))
}

// frame is the data of the header and the footer of every page.
type frame struct {
	Title, Version, Here string
	At                   string
	Refresh              int    // in seconds; zero for no refresh
	Toggle               string // link that turns refresh on or off; "" for none
}

func (s *Server) frame(r *http.Request, title string) frame {
	f := frame{Title: title + " - podgate", Here: r.URL.Path, At: time.Now().UTC().Format(time.RFC3339), Refresh: refreshSeconds}
	if v := s.view.Load(); v != nil {
		f.Version = v.Version
	}
	query := r.URL.Query()
	if query.Get("refresh") == "off" {
		f.Refresh = 0
		query.Del("refresh")
	} else {
		query.Set("refresh", "off")
	}
	f.Toggle = r.URL.Path + "?" + query.Encode()
	return f
}

// pageChange is a Change on a page.
type pageChange struct{ At, When, How, Waited, Text string }

func newPageChanges(all []*Change) []pageChange {
	changes := make([]pageChange, len(all))
	for i, c := range all {
		changes[i] = pageChange{c.At.UTC().Format(time.RFC3339), c.At.UTC().Format("Jan _2 15:04:05"), string(c.How), waitedText(c), c.text()}
	}
	return changes
}

// statusPage is the page at /.
type statusPage struct {
	frame
	Status                  Status
	Sync                    string
	Facts                   [][]string // each a name and a text
	Problems                []StatusProblem
	MoreProblems            int
	Ending                  []string // certificates
	EndingTotal, MoreEnding int
	List                    Listing
	Shown                   string
	States                  []choice
	Columns                 []column
	Previous, Next          string // links; "" for none
	Changes                 []pageChange
}

type (
	choice struct {
		Name     string
		Selected bool
	}
	column struct {
		Name, Link, Order string
		Number            bool
	}
)

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	v := s.view.Load()
	status := newStatus(v, time.Now())
	p := statusPage{
		frame: s.frame(r, string(status.Level)), Status: status,
		Sync: status.syncTitle(), Facts: status.facts(),
		Problems: limit(status.Problems, pageProblems), Changes: newPageChanges(limit(status.Changes, pageChanges)),
	}
	p.MoreProblems = len(status.Problems) - len(p.Problems)
	ending := status.endingLines()
	p.Ending, p.EndingTotal = limit(ending, pageProblems), len(ending)
	p.MoreEnding = len(ending) - len(p.Ending)
	p.List = newListing(r, status.Services, pageServices)
	p.Status.Services = nil
	p.shown(r.URL.Query())
	s.write(w, "page", p)
}

// shown sets which Services are on this page, and the links to the others.
func (p *statusPage) shown(query url.Values) {
	l := p.List
	to := l.From + len(l.Services)
	switch {
	case l.Total == 0:
		p.Shown = "There are no Services."
	case l.Matches == 0:
		p.Shown = fmt.Sprintf("No Service matches (of %d).", l.Total)
	case l.Matches == l.Total:
		p.Shown = fmt.Sprintf("%d to %d of %d", l.From+1, to, l.Total)
	default:
		p.Shown = fmt.Sprintf("%d to %d of %d matches (of %d)", l.From+1, to, l.Matches, l.Total)
	}
	link := func(key, value string) string {
		next := url.Values{}
		for k := range query {
			next.Set(k, query.Get(k))
		}
		next.Set(key, value)
		if key != "from" {
			next.Del("from")
		}
		return "/?" + next.Encode()
	}
	if l.From > 0 {
		p.Previous = link("from", strconv.Itoa(max(0, l.From-pageServices)))
	}
	if to < l.Matches {
		p.Next = link("from", strconv.Itoa(to))
	}
	for _, state := range serviceStates() {
		p.States = append(p.States, choice{string(state), query.Get("state") == string(state)})
	}
	for _, c := range []struct {
		name, by string
		number   bool
	}{{"State", "state", false}, {"Service", "service", false}, {"Up", "servers", true}, {"URL", "url", false}, {"Problems", "problems", true}} {
		col := column{Name: c.name, Link: link("sort", c.by), Number: c.number}
		switch l.Sort {
		case c.by:
			col.Order, col.Link = "ascending", link("sort", "-"+c.by)
		case "-" + c.by:
			col.Order = "descending"
		}
		p.Columns = append(p.Columns, col)
	}
}

func (s *Server) historyPage(w http.ResponseWriter, r *http.Request) {
	s.write(w, "history", struct {
		frame
		Changes []pageChange
	}{s.frame(r, "history"), newPageChanges(newHistory(s.view.Load()).Changes)})
}

func (s *Server) explainPage(w http.ResponseWriter, r *http.Request) {
	p := struct {
		frame
		Of, Method, Header, Text, Error string
	}{frame: s.frame(r, "explain"), Of: r.FormValue("of"), Method: r.FormValue("method"), Header: r.FormValue("header")}
	p.Refresh, p.Toggle = 0, ""
	if p.Of != "" {
		q, err := queryOf(r.URL.Query())
		var x Explanation
		if err == nil {
			x, err = Explain(r.Context(), s.view.Load(), q)
		}
		var text bytes.Buffer
		if err != nil {
			p.Error = err.Error()
		} else {
			x.Print(&text, Style{})
		}
		p.Text = text.String()
	}
	s.write(w, "explain", p)
}

// write renders the whole page before it sends any of it.
func (s *Server) write(w http.ResponseWriter, name string, p any) {
	var text bytes.Buffer
	if err := s.templates.ExecuteTemplate(&text, name, p); err != nil {
		s.log.Error("page cannot be rendered", "op", name, "err", err)
		http.Error(w, "the page cannot be rendered; the reason is in podgate's log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text.Bytes()) // the client may have disconnected
}

// asset serves a file of the page.
func (s *Server) asset(name, contentType string) http.HandlerFunc {
	text, err := web.ReadFile("web/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "max-age=300")
		_, _ = w.Write(text) // the client may have disconnected
	}
}
