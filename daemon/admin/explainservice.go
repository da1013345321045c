// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/runtime"
	"podgate/kubeapi"
)

// ExplainedService is one Service.
type ExplainedService struct {
	Service         string                        `json:"service"`
	State           ServiceState                  `json:"state"`
	Why             string                        `json:"why"` // a sentence
	ResourceVersion string                        `json:"resource_version"`
	Created         time.Time                     `json:"created"`
	Type            string                        `json:"type"`
	Ports           []ExplainedPort               `json:"ports"`
	Annotations     []compile.ExplainedAnnotation `json:"annotations"`
	Problems        []StatusProblem               `json:"problems"`
	Conflicts       []compile.ExplainedConflict   `json:"conflicts"`
	Lines           []string                      `json:"haproxy_lines"`     // of podgate's files
	Trouble         string                        `json:"trouble,omitempty"` // why HAProxy did not answer
}

// ExplainedPort is one port of a Service. A client receives only the embedded
// fields that have JSON names.
type ExplainedPort struct {
	compile.ExplainedPort
	BackendName string            `json:"backend,omitempty"` // "" if the port is not served
	Policy      string            `json:"policy,omitempty"`
	Reached     []ExplainedRoute  `json:"routes"`
	Listens     []string          `json:"listens,omitempty"` // of a TCP port
	Pending     string            `json:"pending,omitempty"` // why HAProxy does not have it yet
	Servers     []ExplainedServer `json:"servers"`
}

// Label is the port's name, else its number.
func (p ExplainedPort) Label() string {
	if p.Name != "" {
		return fmt.Sprintf("%s (%d)", p.Name, p.Number)
	}
	return fmt.Sprint(p.Number)
}

// ExplainedRoute is one route of a port.
type ExplainedRoute struct {
	URL     string `json:"url"`
	Rewrite string `json:"rewrite,omitempty"` // how the request is changed
}

// ExplainedServer is an endpoint, a server of HAProxy, or both.
type ExplainedServer struct {
	compile.ExplainedEndpoint
	HAProxy  string  `json:"haproxy,omitempty"` // its status in HAProxy; "" if HAProxy has no such server
	Check    string  `json:"check,omitempty"`   // result of the last health check
	Since    Seconds `json:"since_seconds,omitempty"`
	Sessions int     `json:"sessions"`

	up bool // HAProxy sends it new clients
}

func explainService(ctx context.Context, v *View, key kubeapi.Key) (*ExplainedService, error) {
	e, ok := v.Result.Explain(key)
	if !ok {
		return nil, fmt.Errorf("no Service %s", key)
	}
	x := &ExplainedService{
		Service: key.String(), ResourceVersion: e.Object.ResourceVersion, Created: e.Object.Created, Type: e.Object.Type,
		Ports: []ExplainedPort{}, Annotations: append([]compile.ExplainedAnnotation{}, e.Annotations...), Problems: []StatusProblem{},
		Conflicts: append([]compile.ExplainedConflict{}, e.Conflicts...),
	}
	var backends []*haproxy.Backend
	for _, p := range e.Ports {
		port, trouble := explainPort(ctx, v, p)
		x.Ports = append(x.Ports, port)
		if trouble != nil {
			x.Trouble = trouble.Error()
		}
		if p.Backend != nil {
			backends = append(backends, p.Backend)
		}
	}
	for _, p := range v.Problems {
		if p.Service == key {
			x.Problems = append(x.Problems, statusProblem(p))
		}
	}
	x.classify(e, v)
	x.Lines = renderedLines(v, backends)
	return x, nil
}

// classify sets State and Why from the answers of HAProxy.
func (x *ExplainedService) classify(e compile.Explanation, v *View) {
	var row Row
	up := 0
	o := compile.Overview{Object: e.Object, Skipped: e.Skipped}
	for i, p := range e.Ports {
		if p.Backend == nil {
			continue
		}
		o.Backends = append(o.Backends, i)
		row.add(p.Backend, v)
		for _, s := range x.Ports[i].Servers {
			if s.State == haproxy.Ready && s.up {
				up++
			}
		}
	}
	row.Up, row.silent = up, x.Trouble != ""
	row.classify(o)
	x.State = row.State
	switch row.State {
	case StateSkipped:
		x.Why = "not served: " + e.Skipped
	case StateNotServed:
		x.Why = "not served: no port has a route or a TCP frontend; the reasons are in the problems below"
	case StateNoEndpoints:
		x.Why = "served, but it has no endpoints: clients get 503"
	case StateHeld:
		x.Why = fmt.Sprintf("served by %d servers that are no longer in the cluster: their removal is held; podgate confirm removes them now", row.Held)
	case StateUnknown:
		x.Why = "its state is not known: " + row.Why
	case StateWaiting:
		x.Why = "not served yet: " + row.Why
	case StateDown:
		x.Why = "served, but no server passes its health check: clients get 503"
	case StateDegraded:
		x.Why = fmt.Sprintf("served by %d of %d servers; the others fail their health checks", row.Up, row.Ready)
	default:
		x.Why = fmt.Sprintf("served by %d servers", row.Ready)
		if row.Ready == 1 {
			x.Why = "served by 1 server"
		}
	}
	for _, p := range x.Ports {
		if p.Pending != "" {
			x.Why = "not up to date: " + p.Pending
		}
	}
}

func explainPort(ctx context.Context, v *View, p compile.ExplainedPort) (ExplainedPort, error) {
	x := ExplainedPort{ExplainedPort: p, Reached: []ExplainedRoute{}, Servers: []ExplainedServer{}}
	for _, r := range p.Routes {
		x.Reached = append(x.Reached, ExplainedRoute{r.URL() + r.CaseNote(), rewriteText(r)})
	}
	for _, f := range p.Frontends {
		x.Listens = append(x.Listens, listenURLs(f)...)
	}
	for _, e := range p.Endpoints {
		x.Servers = append(x.Servers, ExplainedServer{ExplainedEndpoint: e})
	}
	if p.Backend == nil {
		return x, nil
	}
	x.BackendName, x.Policy = p.Backend.Name, policyText(p.Backend, p.ProtocolFrom)
	for _, reason := range v.Edge.ReloadReasons {
		if reason.IsAboutBackend(x.BackendName) {
			x.Pending = reason.String() + ": HAProxy will be reloaded at " + v.Edge.ReloadAt.UTC().Format(time.TimeOnly) + " UTC"
			if v.Edge.Trouble != "" {
				x.Pending += "; the last attempt failed: " + v.Edge.Trouble
			}
		}
	}
	stats, err := v.Edge.Runtime.ServerStats(ctx, x.BackendName)
	if err != nil {
		for i := range x.Servers {
			x.Servers[i].HAProxy = unknown
		}
		return x, err
	}
	x.addStats(stats)
	return x, nil
}

// unknown is the status of a server if HAProxy does not answer.
const unknown = "unknown"

func rewriteText(r haproxy.Route) string {
	if r.Redirect != "" {
		return "redirected to https"
	}
	switch r.Rewrite {
	case "":
		return ""
	case "/":
		return string(r.Path) + " is removed"
	}
	return string(r.Path) + " is replaced with " + string(r.Rewrite)
}

// addStats adds HAProxy's state of each server to its endpoint. A server without an
// endpoint is being removed, or is not podgate's.
func (p *ExplainedPort) addStats(stats []runtime.ServerStat) {
	for _, st := range stats {
		name := st.Name
		addr, ours := haproxy.ParseServerName(name)
		if ours {
			name = addr.String()
		}
		i := slices.IndexFunc(p.Servers, func(s ExplainedServer) bool { return s.Addr == name && s.State != 0 })
		if i < 0 {
			why := "no longer an endpoint; it is removed when its last connection ends"
			if !ours {
				why = "not added by podgate"
			}
			p.Servers = append(p.Servers, ExplainedServer{ExplainedEndpoint: compile.ExplainedEndpoint{Addr: name, Why: why}})
			i = len(p.Servers) - 1
		}
		s := &p.Servers[i]
		s.HAProxy, s.Check, s.Sessions, s.Since = st.Status, checkText(st), st.Sessions, Seconds(st.SinceChange)
		s.up = st.Up()
	}
}

func checkText(s runtime.ServerStat) string {
	text := s.Check
	if text == "INI" {
		return "not checked yet"
	}
	if s.CheckCode != "" && s.CheckCode != "0" {
		text += "/" + s.CheckCode
	}
	if s.CheckInfo != "" {
		text += " " + s.CheckInfo
	}
	// A part of the text comes from the pod.
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text))
}

// policyText describes the settings of a backend, and what set its protocol.
func policyText(b *haproxy.Backend, protocolFrom string) string {
	words := []string{string(b.Policy.Balance)}
	if b.Policy.Mode == haproxy.TCP {
		words = append(words, "TCP")
	}
	if b.Options.Protocol != haproxy.Plain || protocolFrom != "" {
		words = append(words, "pods over "+string(b.Options.Protocol)+protocolFrom)
	}
	if b.Policy.Cookie != "" {
		words = append(words, "sticky by "+cookieText(b))
	}
	if b.Policy.ClientAffinity != 0 {
		words = append(words, "sticky by client address for "+config.FormatDuration(b.Policy.ClientAffinity))
	}
	switch {
	case !b.Options.Check:
		words = append(words, "no health checks")
	case b.Policy.CheckPath != "":
		words = append(words, fmt.Sprintf("GET %s every %s", b.Policy.CheckPath, config.FormatDuration(b.Options.CheckInterval)))
	default:
		words = append(words, "TCP check every "+config.FormatDuration(b.Options.CheckInterval))
	}
	if b.TimeoutServer != 0 {
		words = append(words, "server timeout "+config.FormatDuration(b.TimeoutServer))
	}
	if b.TimeoutTunnel != 0 {
		words = append(words, "tunnel timeout "+config.FormatDuration(b.TimeoutTunnel))
	}
	if b.Policy.TimeoutConnect != 0 {
		words = append(words, "connect timeout "+config.FormatDuration(b.Policy.TimeoutConnect))
	}
	if b.Options.MaxConn != 0 {
		words = append(words, fmt.Sprintf("at most %d connections per server", b.Options.MaxConn))
	}
	return strings.Join(words, ", ")
}

// cookieText describes the cookie that clients get.
func cookieText(b *haproxy.Backend) string {
	text := "cookie " + cmp.Or(b.Cookie.Name, b.Policy.Cookie) + " (HttpOnly"
	if b.Cookie.Secure {
		text += ", Secure"
	}
	return text + ")"
}

// renderedLines returns the sections and map lines of some backends, as in the
// files.
func renderedLines(v *View, backends []*haproxy.Backend) []string {
	if len(backends) == 0 {
		return []string{}
	}
	slices.SortFunc(backends, func(a, b *haproxy.Backend) int { return cmp.Compare(a.Name, b.Name) })
	part := haproxy.State{Settings: v.Result.State.Settings, Backends: haproxy.ListOf(backends...)}
	for _, r := range v.Result.State.Routes {
		if _, ok := part.Backend(r.Backend); ok {
			part.Routes = append(part.Routes, r)
		}
	}
	files, err := cfgfile.Render(part, v.Config.HAProxy.Folder)
	if err != nil {
		return []string{"# " + err.Error()}
	}
	var lines []string
	for _, s := range cfgfile.Parse(files.Config()).Sections {
		if s.IsClass() || s.Kind == "backend" { // and not what all backends share
			lines = append(lines, s.Header())
			for _, line := range s.Lines {
				lines = append(lines, "  "+line)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files.Maps)) {
		for line := range strings.Lines(string(files.Maps[name])) {
			lines = append(lines, name+": "+strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}
