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

// Row is one Service in the list.
type Row struct {
	Service  string       `json:"service"`
	State    ServiceState `json:"state"`
	Why      string       `json:"why,omitempty"` // why it has that State
	URLs     []string     `json:"urls"`          // of its routes and TCP frontends
	Ready    int          `json:"ready"`         // servers that should get new clients
	Up       int          `json:"up"`            // of those, up as far as known
	Drain    int          `json:"drain"`
	Held     int          `json:"held,omitempty"` // servers whose removal is held
	Problems int          `json:"problems"`
	silent   bool         // HAProxy does not answer
	unloaded bool         // HAProxy does not have one of its backends
	unread   bool         // what its servers are cannot be read from the cluster
	rejected string       // why HAProxy cannot load one of these; "" if it can
}

// ServiceState is the state of a Service.
type ServiceState string

// The states, the worst first.
const (
	StateDown        ServiceState = "down"         // no server passes its health check
	StateUnknown     ServiceState = "unknown"      // HAProxy does not answer, or its endpoints cannot be read
	StateNoEndpoints ServiceState = "no endpoints" // it has no servers
	StateNotServed   ServiceState = "not served"   // it is selected, but cannot be served
	StateWaiting     ServiceState = "waiting"      // HAProxy has not loaded it yet
	StateHeld        ServiceState = "held"         // its servers are no longer in the cluster, but their removal is held
	StateDegraded    ServiceState = "degraded"     // some servers fail their health checks
	StateUp          ServiceState = "up"
	StateSkipped     ServiceState = "skipped" // it is not selected
)

func serviceStates() []ServiceState {
	return []ServiceState{StateDown, StateUnknown, StateNoEndpoints, StateNotServed, StateWaiting, StateHeld, StateDegraded, StateUp, StateSkipped}
}

// Served reports whether HAProxy serves the Service, as far as known.
func (r Row) Served() bool {
	return r.State != StateNotServed && r.State != StateSkipped && r.State != StateWaiting
}

// newRows returns a Row for each Service of v, by name.
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
	problems := map[kubeapi.Key]int{}
	for _, p := range v.Problems {
		problems[p.Service]++
	}
	overviews := r.Overviews()
	rows := make([]Row, len(overviews))
	for i, o := range overviews {
		row := newRow(o, v)
		row.Service, row.URLs, row.Problems = o.Object.String(), []string{}, problems[o.Object.Key]
		for _, j := range o.Backends {
			name := r.State.Backends.At(j).Name
			for _, route := range routes[name] {
				row.URLs = append(row.URLs, route.URL())
			}
			for _, f := range listens[name] {
				row.URLs = append(row.URLs, listenURLs(f)...)
			}
		}
		rows[i] = row
	}
	return rows
}

// newRow returns the Row of a Service, with only its State and its servers.
func newRow(o compile.Overview, v *View) Row {
	var row Row
	for _, j := range o.Backends {
		row.add(v.Result.State.Backends.At(j), v)
	}
	row.classify(o)
	return row
}

func (r *Row) add(b *haproxy.Backend, v *View) {
	ready := ReadyServers(b)
	r.Ready += ready
	r.Drain += len(b.Servers) - ready
	r.Up += upServers(b, ready, v)
	r.silent = !v.Edge.Answers()
	r.unloaded = r.unloaded || v.unloaded(b)
	r.unread = r.unread || b.Unknown
	if aside, ok := v.Edge.SetAside[b.Name]; ok && !aside.Served {
		r.rejected = aside.Reason
	}
	r.Held += v.Edge.Removal.ServersOf(b.Name)
}

// ReadyServers counts the servers of a backend that should get new clients.
func ReadyServers(b *haproxy.Backend) (ready int) {
	for _, s := range b.Servers {
		if s.State == haproxy.Ready {
			ready++
		}
	}
	return ready
}

// upServers counts the ready servers that are up. Servers without health checks, or
// that HAProxy was not asked about yet, count as up, as in HAProxy.
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
		r.State, r.Why = StateNotServed, "its problems have the reason"
	case r.rejected != "" && !r.silent: // without its backend, clients get no 503
		r.State, r.Why = StateWaiting, "HAProxy cannot load it: "+r.rejected
	case r.unread:
		r.State, r.Why = StateUnknown, "its endpoints cannot be read; HAProxy keeps the servers that it has"
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

func listenURLs(f haproxy.Frontend) []string {
	urls := make([]string, len(f.Binds))
	for i, b := range f.Binds {
		urls[i] = "tcp://" + b.String()
	}
	return urls
}

// countStates counts the Services by state.
func countStates(v *View) map[ServiceState]int {
	count := map[ServiceState]int{}
	if v.Result == nil {
		return count
	}
	for _, o := range v.Result.Overviews() {
		count[newRow(o, v).State]++
	}
	return count
}

// countServers counts the servers of all backends.
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

// Listing is one page of the list of Services, as JSON.
type Listing struct {
	SchemaVersion int    `json:"schema_version"`
	Total         int    `json:"total"`   // of the cluster
	Matches       int    `json:"matches"` // that match the search
	From          int    `json:"from"`    // index of the first, from 0
	Services      []Row  `json:"services"`
	Query         string `json:"query,omitempty"`
	Sort          string `json:"sort"`
}

// newListing returns the rows that match q=TEXT and state=STATE, from from=N on, and at
// most so many; zero is no limit. It sorts them by
// sort=service|state|servers|url|problems, with a minus for descending order.
func newListing(r *http.Request, rows []Row, most int) Listing {
	l := Listing{SchemaVersion: SchemaVersion, Total: len(rows), Query: r.FormValue("q"), Sort: cmp.Or(r.FormValue("sort"), "state")}
	query, state := strings.ToLower(l.Query), r.FormValue("state")
	rows = slices.DeleteFunc(rows, func(r Row) bool {
		return state != "" && string(r.State) != state || query != "" && !r.matches(query)
	})
	sortRows(rows, l.Sort)
	l.Matches = len(rows)
	l.From = min(number(r, "from", 0), len(rows))
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

// compareRows orders rows so that the interesting ones are first.
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

// rank is the order of states. A Service that is up but has Problems is before those
// without.
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
	case r.unread:
		return "?"
	case r.State == StateUnknown:
		return "?/" + strconv.Itoa(r.Ready)
	case r.Ready+r.Drain == 0:
		return "-"
	}
	return strconv.Itoa(r.Up) + "/" + strconv.Itoa(r.Ready)
}
