// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"podgate/daemon/compile"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// Row is one Service in a list.
type Row struct {
	Service  string       `json:"service"`
	State    ServiceState `json:"state"`
	Why      string       `json:"why,omitempty"` // it is in that State
	URLs     []string     `json:"urls"`          // where it is reached
	Ready    int          `json:"ready"`         // servers that should take new clients
	Up       int          `json:"up"`            // of those, up as far as HAProxy was asked
	Drain    int          `json:"drain"`
	Held     int          `json:"held,omitempty"` // servers that serve while their removal is held
	Problems int          `json:"problems"`
	silent   bool         // HAProxy does not answer
	unloaded bool         // HAProxy lacks a backend of it
}

// ServiceState is how a Service does.
type ServiceState string

// The states, the worst first.
const (
	StateDown        ServiceState = "down"         // no server is up
	StateUnknown     ServiceState = "unknown"      // HAProxy does not answer
	StateNoEndpoints ServiceState = "no endpoints" // there is no server
	StateNotServed   ServiceState = "not served"   // it was asked for and cannot be served
	StateWaiting     ServiceState = "waiting"      // HAProxy has not loaded it yet
	StateHeld        ServiceState = "held"         // the cluster has no server for it, and their removal is held
	StateDegraded    ServiceState = "degraded"     // some servers are not up
	StateUp          ServiceState = "up"
	StateSkipped     ServiceState = "skipped" // it was not asked to be served
)

func serviceStates() []ServiceState {
	return []ServiceState{StateDown, StateUnknown, StateNoEndpoints, StateNotServed, StateWaiting, StateHeld, StateDegraded, StateUp, StateSkipped}
}

// Served reports whether HAProxy knows the Service, as far as it was asked.
func (r Row) Served() bool {
	return r.State != StateNotServed && r.State != StateSkipped && r.State != StateWaiting
}

// newRows are all Services of v, sorted by name.
func newRows(v *View) []Row {
	if v.Result == nil {
		return []Row{}
	}
	r := v.Result
	routes := r.RoutesByBackend()
	listens := map[string][]haproxy.Frontend{}
	for _, f := range r.State.Frontends {
		if f.Backend != "" {
			listens[f.Backend] = append(listens[f.Backend], f)
		}
	}
	problems := problemsByService(v.Problems)
	overviews := r.Overviews()
	rows := make([]Row, len(overviews))
	for i, o := range overviews {
		row := Row{Service: o.Object.String(), URLs: []string{}, Problems: problems[o.Object.Key]}
		for _, j := range o.Backends {
			row.add(r.State.Backends.At(j), v)
			name := r.State.Backends.At(j).Name
			for _, route := range routes[name] {
				row.URLs = append(row.URLs, RouteURL(route))
			}
			for _, f := range listens[name] {
				row.URLs = append(row.URLs, listenURLs(f)...)
			}
		}
		row.classify(o)
		rows[i] = row
	}
	return rows
}

func problemsByService(problems []Problem) map[kubeapi.Key]int {
	count := map[kubeapi.Key]int{}
	for _, p := range problems {
		count[p.Service]++
	}
	return count
}

func (r *Row) add(b *haproxy.Backend, v *View) {
	ready := ReadyServers(b)
	r.Ready += ready
	r.Drain += len(b.Servers) - ready
	r.Up += upServers(b, ready, v)
	r.silent = !v.Edge.Answers()
	r.unloaded = r.unloaded || v.unloaded(b)
	r.Held += v.Edge.Removal.ServersOf(b.Name)
}

// ReadyServers is how many servers of a backend should take new clients.
func ReadyServers(b *haproxy.Backend) (ready int) {
	for _, s := range b.Servers {
		if s.State == haproxy.Ready {
			ready++
		}
	}
	return ready
}

// upServers is how many of the ready servers are up, as far as is known: those that
// are not checked, or that HAProxy was not asked about yet, count as up, as
// HAProxy takes them.
func upServers(b *haproxy.Backend, ready int, v *View) int {
	if v.unloaded(b) {
		return 0
	}
	if !b.Options.Check {
		return ready
	}
	if up, known := v.Health.UpServers(b, ready); known {
		return up
	}
	return ready
}

func (r *Row) classify(o compile.Overview) {
	switch {
	case o.Skipped != "":
		r.State, r.Why = StateSkipped, o.Skipped
	case len(o.Backends) == 0:
		r.State, r.Why = StateNotServed, "its problems say why"
	case r.Ready+r.Drain == 0 && r.Held > 0:
		r.State = StateHeld
	case r.Ready+r.Drain == 0:
		r.State = StateNoEndpoints
	case r.silent:
		r.State, r.Why = StateUnknown, "HAProxy does not answer"
	case r.unloaded:
		r.State, r.Why = StateWaiting, "HAProxy has not loaded it yet"
	case r.Up == 0 && r.Ready > 0:
		r.State = StateDown
	case r.Up < r.Ready:
		r.State = StateDegraded
	default:
		r.State = StateUp
	}
}

// RouteURL is where a Route is reached: "shop.example.com/cart", or "*/cart" for
// any host, with https:// before it where that is so.
func RouteURL(r haproxy.Route) string {
	url := string(cmp.Or(r.Host, "*")) + string(cmp.Or(r.Path, "/"))
	if r.TLS {
		url = "https://" + url
	}
	return url
}

func listenURLs(f haproxy.Frontend) []string {
	urls := make([]string, len(f.Binds))
	for i, b := range f.Binds {
		urls[i] = "tcp://" + b.String()
	}
	return urls
}

// countStates is how many Services are in each state.
func countStates(v *View) map[ServiceState]int {
	count := map[ServiceState]int{}
	if v.Result == nil {
		return count
	}
	for _, o := range v.Result.Overviews() {
		var row Row
		for _, j := range o.Backends {
			row.add(v.Result.State.Backends.At(j), v)
		}
		row.classify(o)
		count[row.State]++
	}
	return count
}

// countServers adds up the servers of all backends.
func countServers(v *View) Servers {
	n := Servers{Leaving: v.Edge.Leaving}
	if v.Result == nil {
		return n
	}
	for _, b := range v.Result.State.Backends.All() {
		ready := ReadyServers(b)
		up := upServers(b, ready, v)
		n.Up += up
		n.Down += ready - up
		n.Drain += len(b.Servers) - ready
	}
	return n
}

// Listing is a part of the list of Services, as JSON.
type Listing struct {
	SchemaVersion int    `json:"schema_version"`
	Total         int    `json:"total"`   // of the cluster
	Matches       int    `json:"matches"` // what was searched for
	From          int    `json:"from"`    // of the matches, from 0
	Services      []Row  `json:"services"`
	Query         string `json:"query,omitempty"`
	Sort          string `json:"sort"`
}

// list takes q=TEXT, state=STATE, sort=service|state|servers|url|problems, with
// a minus before it for the other way round, from=N and limit=N.
func (s *Server) list(r *http.Request, most int) Listing {
	v := s.view.Load()
	l := Listing{SchemaVersion: SchemaVersion, Services: []Row{}, Query: r.FormValue("q"), Sort: cmp.Or(r.FormValue("sort"), "state")}
	if v == nil {
		return l
	}
	return l.fill(newRows(v), r.FormValue("state"), number(r, "from", 0), number(r, "limit", most))
}

// fill takes a limit of 0 as none.
func (l Listing) fill(rows []Row, state string, from, most int) Listing {
	l.Total = len(rows)
	query := strings.ToLower(l.Query)
	rows = slices.DeleteFunc(rows, func(r Row) bool {
		return state != "" && string(r.State) != state || query != "" && !r.matches(query)
	})
	sortRows(rows, l.Sort)
	l.Matches = len(rows)
	l.From = min(from, len(rows))
	l.Services = rows[l.From:]
	if most > 0 {
		l.Services = limit(l.Services, most)
	}
	return l
}

func (r Row) matches(query string) bool {
	return strings.Contains(r.Service, query) || strings.Contains(string(r.State), query) ||
		slices.ContainsFunc(r.URLs, func(u string) bool { return strings.Contains(strings.ToLower(u), query) })
}

func sortRows(rows []Row, order string) {
	by, reverse := strings.CutPrefix(order, "-")
	slices.SortStableFunc(rows, func(a, b Row) int {
		c := cmp.Or(compareRows(a, b, by), cmp.Compare(a.Service, b.Service))
		if reverse {
			return -c
		}
		return c
	})
}

// compareRows puts first what an operator looks for.
func compareRows(a, b Row, by string) int {
	switch by {
	case "servers":
		return cmp.Compare(b.Ready, a.Ready)
	case "url":
		return cmp.Compare(firstURL(a), firstURL(b))
	case "problems":
		return cmp.Compare(b.Problems, a.Problems)
	case "state":
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(b.Problems, a.Problems))
	}
	return 0
}

// rank puts a Service with Problems before those that are well.
func (r Row) rank() int {
	if r.State == StateUp && r.Problems > 0 {
		return slices.Index(serviceStates(), StateDegraded)
	}
	return slices.Index(serviceStates(), r.State)
}

func firstURL(r Row) string {
	if len(r.URLs) == 0 {
		return "\xff"
	}
	return r.URLs[0]
}

func serversText(r Row) string {
	switch {
	case r.State == StateHeld:
		return strconv.Itoa(r.Held) + " held"
	case r.State == StateUnknown:
		return "?/" + strconv.Itoa(r.Ready)
	case r.Ready+r.Drain == 0:
		return "-"
	}
	return strconv.Itoa(r.Up) + "/" + strconv.Itoa(r.Ready)
}
