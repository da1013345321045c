// SPDX-License-Identifier: Apache-2.0

// Package config reads podgate.toml into a typed Config: strict, with file and
// line in every error, and all errors at once.
//
// It opens no socket, asks no server and knows nothing of what runs.
package config

import (
	"log/slog"
	"net/netip"
	"time"

	"podgate/haproxy"
)

// Config is podgate.toml, parsed and valid. It is not changed after it was
// read.
type Config struct {
	Kubernetes Kubernetes
	HAProxy    HAProxy
	HTTP       HTTP
	HTTPS      HTTPS
	TCP        TCP
	Defaults   Defaults
	Safety     Safety
	Cloud      Cloud
	Upstream   Upstream
	Peers      Peers
	Grants     []Grant
	Admin      Admin
	Log        Log
}

// Kubernetes says which API server to follow and what of it.
type Kubernetes struct {
	Kubeconfig        string   // path; "" where Server is given
	Context           string   // of the kubeconfig; "" for its current one
	Servers           []string // key "server": https://host:port, of one cluster; empty where Kubeconfig is given
	CAFile            string
	TokenFile         string
	ClientCertificate string
	ClientKey         string
	Namespaces        []string // sorted, without duplicates; "*" alone means all
	Selector          string   // label selector on Services; "" for all
	Expose            Expose
	Watch             bool
	PollInterval      time.Duration
	ResyncInterval    time.Duration
}

// Expose says which Services are served.
type Expose string

// ExposeAll serves every Service that is not ignored, ExposeAnnotated only
// those that carry one of our annotations.
const (
	ExposeAll       Expose = "all"
	ExposeAnnotated Expose = "annotated"
)

// HAProxy says where the HAProxy beside us is. Paths are absolute.
type HAProxy struct {
	Folder           string              // ours alone, loaded by HAProxy with -f
	AdminSocket      string              // its stats socket of level admin
	MasterSocket     string              // its master CLI
	Binary           string              // for haproxy -c
	Files            []string            // the operator's own -f files, key "config"; for haproxy -c
	ErrorFolder      string              // key "error_files"; "" for none
	ErrorFiles       []haproxy.ErrorFile // those of ErrorFolder that exist, by Code; filled by Load alone
	ReloadInterval   time.Duration       // the least time between two reloads
	HardStopAfter    time.Duration       // how long a retired worker may live; zero is without limit
	MaxWorkerReloads int                 // how many reloads an old worker survives, and so how many there can be
	AccessLog        haproxy.AccessLog   // how it logs requests and connections
}

// HTTP is the plain HTTP frontend.
type HTTP struct {
	Binds    []netip.AddrPort // key "bind"; empty for no such frontend
	NotFound string           // file with the body of the 404 page; "" for a line of text
	Relay    netip.AddrPort   // where retired workers hand their last requests on; invalid for nowhere
}

// TCP says where Services may ask for a port of their own.
type TCP struct {
	Addresses    []netip.Addr // where TCP frontends listen
	AllowedPorts []PortRange  // sorted; empty for none
}

// PortRange is a range of ports, both ends included.
type PortRange struct{ First, Last uint16 }

// Contains reports whether port is in the range.
func (r PortRange) Contains(port uint16) bool { return r.First <= port && port <= r.Last }

// Defaults hold for a Service that says nothing else.
type Defaults struct {
	Algorithm          haproxy.Balance
	Check              bool
	CheckInterval      time.Duration
	Cookie             string // name of the sticky cookie
	CookieKey          string // the same on every edge node
	MaxConn            int    // per server; zero is without limit
	TimeoutClient      time.Duration
	TimeoutServer      time.Duration
	TimeoutConnect     time.Duration
	TimeoutHTTPRequest time.Duration
	TimeoutKeepAlive   time.Duration
	TimeoutTunnel      time.Duration
}

// Safety bounds what the cluster can do to the edge: how much of it can go at
// once, and how much of it one namespace can have.
type Safety struct {
	MaxRemoval int           // in percent of what is in service; 100 holds nothing
	FromCount  int           // how many servers, or Services, there must be for MaxRemoval to count
	HoldTime   time.Duration // how long a removal is held before the cluster is listed again

	MaxBackends  int            // of one namespace
	MaxRoutes    int            // of one namespace
	MaxEndpoints int            // of one port of a Service
	Networks     []netip.Prefix // that endpoints must be in; empty for any
}

// Admin says where operators are answered.
type Admin struct {
	Listen  []netip.AddrPort // of the page, JSON and metrics; empty for nowhere
	Hosts   []string         // names under which they are asked for, lower case; addresses need not be named
	Socket  string           // of podgate status and explain; "" for none
	History string           // file of what happened; "" keeps it in memory alone
}

// Log says how podgate logs.
type Log struct {
	Level  slog.Level
	Format LogFormat
}

// LogFormat is how a log line is written.
type LogFormat string

// LogText is slog's text format, LogJSON a JSON object per line.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)
