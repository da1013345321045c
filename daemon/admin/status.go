// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"fmt"
	"strings"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/guard"
	"podgate/daemon/reconcile"
	"podgate/kubeapi"
)

// SchemaVersion is the version of Status, Listing, History and Explanation in JSON.
// It changes when a field is removed or changes its meaning. It does not change for
// new fields, kinds of Problems and states of Services.
const SchemaVersion = 2

// Status is the status of podgate, as JSON.
type Status struct {
	SchemaVersion int             `json:"schema_version"`
	Version       string          `json:"version"`
	Commit        string          `json:"commit"`
	Started       time.Time       `json:"started"`
	At            time.Time       `json:"at"`
	Level         Level           `json:"level"`
	Reasons       []string        `json:"reasons"` // why Level is not ok
	InSync        bool            `json:"in_sync"`
	Since         time.Time       `json:"since"` // when InSync last changed
	API           StatusAPI       `json:"api_server"`
	HAProxy       StatusHAProxy   `json:"haproxy"`
	Config        StatusConfig    `json:"configuration"`
	Count         StatusCount     `json:"count"`
	Problems      []StatusProblem `json:"problems"`
	Services      []Row           `json:"services"`
	Changes       []*Change       `json:"changes"`      // the newest first
	Certificates  []Certificate   `json:"certificates"` // the first to expire first
}

// Level is the severity of a Status.
type Level string

// The levels, which are also the exit codes of podgate status, 0 to 2.
const (
	Healthy  Level = "ok"
	Degraded Level = "degraded" // HAProxy serves, but something needs attention
	Critical Level = "critical" // HAProxy is out of sync
)

// ExitCode is the exit code of podgate status.
func (l Level) ExitCode() int {
	switch l {
	case Healthy:
		return 0
	case Degraded:
		return 1
	}
	return 2
}

// StatusAPI is the connection to the API server.
type StatusAPI struct {
	Server     string              `json:"server"`
	Conditions []kubeapi.Condition `json:"conditions"` // empty while everything is followed
	Listed     *time.Time          `json:"listed"`     // null before the first complete list
	Heard      *time.Time          `json:"heard"`
	Polling    bool                `json:"polling"`
}

// StatusHAProxy is the local HAProxy.
type StatusHAProxy struct {
	Answers       bool           `json:"answers"`
	Version       string         `json:"version"`
	Pid           int            `json:"pid"`
	Generation    string         `json:"generation"`
	OldWorkers    int            `json:"old_workers"`
	Trouble       string         `json:"trouble"`
	ViaMaster     string         `json:"via_master"`
	NoRelay       string         `json:"no_relay"`
	NoPeers       string         `json:"no_peers"`
	Hindrances    []string       `json:"hindrances"` // settings of the operator with which podgate cannot do its work
	ReloadAt      *time.Time     `json:"reload_at"`  // null if none is due
	ReloadReasons []string       `json:"reload_reasons"`
	ReloadFloor   string         `json:"reload_floor"`    // the minimum time between two reloads, and why; "" before the first reload
	Slow          []string       `json:"slow_namespaces"` // namespaces whose changes wait because they cause reload after reload
	Held          string         `json:"held"`            // the held removal; "" for none
	HeldRemoval   *guard.Removal `json:"held_removal"`    // the same in numbers; null for none
	Draining      bool           `json:"draining"`
}

// StatusConfig is podgate.toml.
type StatusConfig struct {
	File  string    `json:"file"`
	Error string    `json:"error"` // why the current file is not in force; "" if it is
	Since time.Time `json:"since"`
}

// StatusCount is the number of objects.
type StatusCount struct {
	Services     int                      `json:"services"` // in the followed namespaces
	Served       int                      `json:"served"`
	Backends     int                      `json:"backends"`
	Routes       int                      `json:"routes"`
	Servers      Servers                  `json:"servers"`
	Problems     int                      `json:"problems"`
	ProblemKinds map[compile.Kind]int     `json:"problem_kinds"`
	Certificates map[CertificateState]int `json:"certificates"` // in use
}

// Servers are the number of servers by state. Up and Down count those that should
// get new clients. While HAProxy does not answer, all of these count as Up.
type Servers struct {
	Up      int `json:"up"`
	Down    int `json:"down"`
	Drain   int `json:"drain"`
	Leaving int `json:"leaving"` // removed, but still with connections
}

// StatusProblem is a Problem, or a CertificateProblem.
type StatusProblem struct {
	Kind        compile.Kind `json:"kind"`
	Service     string       `json:"service"` // "" for a certificate
	Port        string       `json:"port,omitempty"`
	Annotation  string       `json:"annotation,omitempty"`
	Certificate string       `json:"certificate,omitempty"` // its file, or "Secret shop/tls"
	Text        string       `json:"text"`
	Since       time.Time    `json:"since"`
}

// certificateKind is the kind of a CertificateProblem.
const certificateKind compile.Kind = "certificate"

func statusProblem(p Problem) StatusProblem {
	return StatusProblem{Kind: p.Kind, Service: p.Service.String(), Port: p.Port, Annotation: p.Key, Text: p.Text, Since: p.Since}
}

// newStatusProblems returns all problems, those of certificates first.
func newStatusProblems(v *View) []StatusProblem {
	problems := make([]StatusProblem, 0, len(v.CertificateProblems)+len(v.Problems))
	for _, p := range v.CertificateProblems {
		problems = append(problems, StatusProblem{Kind: certificateKind, Certificate: p.File, Text: p.Text, Since: p.Since})
	}
	for _, p := range v.Problems {
		problems = append(problems, statusProblem(p))
	}
	return problems
}

// String names the object and the problem.
func (p StatusProblem) String() string {
	if p.Certificate != "" {
		return "certificate " + p.Certificate + ": " + p.Text
	}
	if p.Port != "" {
		return p.Service + " " + p.about()
	}
	return p.Service + ": " + p.about()
}

// about names the port, the annotation and the problem, but not the Service.
func (p StatusProblem) about() string {
	var words []string
	if p.Port != "" {
		words = append(words, "port "+p.Port)
	}
	if p.Annotation != "" {
		words = append(words, "annotation "+p.Annotation)
	}
	return strings.Join(append(words, p.Text), ": ")
}

// newStatus returns the status of v, which is nil before the first pass. It may be
// called concurrently.
func newStatus(v *View, now time.Time) Status {
	s := Status{
		SchemaVersion: SchemaVersion, At: now, Reasons: []string{}, Problems: []StatusProblem{}, Services: []Row{}, Changes: []*Change{}, Certificates: []Certificate{},
		Count: StatusCount{ProblemKinds: map[compile.Kind]int{}, Certificates: countCertificates(nil, now)},
	}
	s.API.Conditions = []kubeapi.Condition{}
	if v == nil {
		s.Level, s.Reasons = Degraded, []string{"podgate is starting"}
		return s
	}
	s.Version, s.Commit, s.Started, s.InSync, s.Since = v.Version, v.Commit, v.Started, v.Edge.InSync, v.Edge.Since
	s.Config = StatusConfig{v.ConfigFile, v.ConfigError, v.ConfigSince}
	s.API = newStatusAPI(v)
	s.HAProxy = newStatusHAProxy(v)
	s.Problems = newStatusProblems(v)
	for _, p := range s.Problems {
		s.Count.ProblemKinds[p.Kind]++
	}
	s.Count.Problems = len(s.Problems)
	s.Services = newRows(v)
	s.Count.Services = len(s.Services)
	for _, r := range s.Services {
		if r.Served() {
			s.Count.Served++
		}
	}
	if v.Result != nil {
		s.Count.Backends, s.Count.Routes = v.Result.State.Backends.Len(), len(v.Result.State.Routes)
	}
	s.Count.Servers = countServers(v)
	s.Changes = newHistory(v).Changes
	s.Certificates = append(s.Certificates, v.Certificates...)
	s.Count.Certificates = countCertificates(s.Certificates, now)
	s.Level, s.Reasons = classify(v, s, now)
	return s
}

func newStatusAPI(v *View) StatusAPI {
	st := v.API.Status()
	return StatusAPI{
		Server: st.Server, Conditions: append([]kubeapi.Condition{}, st.Conditions...),
		Listed: timeOrNil(st.Listed), Heard: timeOrNil(st.Heard), Polling: st.Polling,
	}
}

func newStatusHAProxy(v *View) StatusHAProxy {
	h := StatusHAProxy{
		Answers: v.Edge.Answers(), Version: v.Edge.Process.Version, Pid: v.Edge.Process.Pid, Generation: v.Edge.Process.Generation,
		Trouble: v.Edge.Trouble, ViaMaster: v.Edge.ViaMaster, NoRelay: v.Edge.NoRelay, NoPeers: v.Edge.NoPeers,
		ReloadAt: timeOrNil(v.Edge.ReloadAt), ReloadReasons: v.Edge.ReloadReasons.Texts(),
		HeldRemoval: v.Edge.Removal, Draining: v.Edge.Draining,
	}
	if cost := v.Edge.ReloadCost; cost.Took > 0 {
		h.ReloadFloor = fmt.Sprintf("at least %s between two reloads: the last one took %s, %d old workers run", short(v.Edge.ReloadFloor), short(cost.Took), cost.OldWorkers)
	}
	h.Slow = slowTexts(v.Edge.Slow)
	h.Hindrances = make([]string, len(v.Edge.Hindrances))
	for i, x := range v.Edge.Hindrances {
		h.Hindrances[i] = x.String()
	}
	if v.Edge.Removal != nil {
		h.Held = "holds the removal of " + v.Edge.Removal.String()
	}
	if v.Health != nil {
		h.OldWorkers = v.Health.OldWorkers
	}
	return h
}

// slowTexts returns a line for each namespace whose changes wait.
func slowTexts(slow []reconcile.SlowNamespace) []string {
	texts := []string{}
	for _, n := range slow {
		if n.Waiting > 0 {
			texts = append(texts, fmt.Sprintf("namespace %s caused %d reloads in ten minutes: its next changes that need a reload wait until %s", n.Name, n.Reloads, n.Until.UTC().Format(time.RFC3339)))
		}
	}
	return texts
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// maxOutOfSync is the time out of sync after which the status is critical. Changes wait
// for their reload for less.
const maxOutOfSync = time.Minute

// classify returns the level, and the reasons for it.
func classify(v *View, s Status, now time.Time) (Level, []string) {
	level, reasons := Healthy, []string{}
	add := func(l Level, format string, args ...any) {
		if l.ExitCode() > level.ExitCode() {
			level = l
		}
		reasons = append(reasons, fmt.Sprintf(format, args...))
	}
	switch {
	case v.Edge.Trouble != "":
		add(Critical, "HAProxy is out of sync: %s", v.Edge.Trouble)
	case v.Result == nil && len(s.API.Conditions) > 0:
		add(Critical, "podgate has not read the cluster since it started; HAProxy serves its last state")
	case v.Result == nil:
		add(Degraded, "podgate is reading the cluster for the first time")
	case v.Edge.Unserved() > 0:
		add(Critical, "HAProxy cannot load %d of the new backends", v.Edge.Unserved())
	case !s.InSync && now.Sub(s.Since) > maxOutOfSync:
		add(Critical, "HAProxy has been out of sync since %s", s.Since.UTC().Format(time.RFC3339))
	}
	if h := v.Edge.Removal; h != nil {
		add(Degraded, "podgate holds the removal of %s: %s", h, h.Outlook())
	}
	if v.Edge.Draining {
		add(Degraded, "this node is draining: its health checks fail until podgate undrain")
	}
	if text := s.endingText(); text != "" {
		add(Degraded, "%s", text)
	}
	if text := problemsText(v.CertificateProblems); text != "" {
		add(Degraded, "%s", text)
	}
	for _, c := range s.API.Conditions {
		add(Degraded, "API server %s: %s; HAProxy serves the last state", c.Kind, c.Text)
	}
	if v.ConfigError != "" {
		add(Degraded, "podgate.toml is invalid, the previous version stays in force: %s", v.ConfigError)
	}
	if v.Edge.ViaMaster != "" {
		add(Degraded, "HAProxy answers on its master CLI, but not on its admin socket: %s", v.Edge.ViaMaster)
	}
	for _, text := range s.HAProxy.Slow {
		add(Degraded, "%s", text)
	}
	for _, text := range s.HAProxy.Hindrances {
		add(Degraded, "%s", text)
	}
	if v.Edge.NoPeers != "" {
		add(Degraded, "peers.nodes: %s", v.Edge.NoPeers)
	}
	if n := len(v.Problems); n == 1 {
		add(Degraded, "1 problem with a Service")
	} else if n > 1 {
		add(Degraded, "%d problems with Services", n)
	}
	return level, reasons
}

// History is the last changes, as JSON.
type History struct {
	SchemaVersion int       `json:"schema_version"`
	Changes       []*Change `json:"changes"` // the newest first
}

// newHistory returns the Changes of v, the newest first.
func newHistory(v *View) History {
	h := History{SchemaVersion: SchemaVersion, Changes: []*Change{}}
	if v == nil {
		return h
	}
	for i := len(v.Changes) - 1; i >= 0; i-- {
		h.Changes = append(h.Changes, v.Changes[i])
	}
	return h
}

// Progress is what podgate does until HAProxy is in sync; "" from then on.
func Progress(v *View) string {
	switch {
	case v == nil:
		return "starting"
	case v.Edge.InSync:
		return ""
	case v.Result == nil:
		st := v.API.Status()
		if len(st.Conditions) > 0 {
			return fmt.Sprintf("waiting for the API server: %s", st.Conditions[0].Text)
		}
		return fmt.Sprintf("reading the cluster: %d Services, %d EndpointSlices so far", st.Reading.Services, st.Reading.EndpointSlices)
	case v.Edge.Trouble != "":
		return "HAProxy is out of sync: " + v.Edge.Trouble
	case len(v.Edge.ReloadReasons) > 0:
		return fmt.Sprintf("loading %d backends and %d routes into HAProxy", v.Result.State.Backends.Len(), len(v.Result.State.Routes))
	case v.Edge.Unserved() > 0:
		return fmt.Sprintf("waiting: HAProxy cannot load %d of the new backends", v.Edge.Unserved())
	}
	return "reading the state of HAProxy"
}
