// SPDX-License-Identifier: Apache-2.0

// Package config reads podgate.toml into a typed Config: strict, with file and
// line in every error, and all errors together.
//
// It opens no socket, asks no server and knows nothing of what runs.
package config

import (
	"crypto/sha256"
	"log/slog"
	"net/netip"
	"time"

	"podgate/haproxy"
)

// Config is podgate.toml, parsed and valid. It is immutable.
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
	Stats      Stats
	Log        Log

	Compatibility Compatibility

	Sum [sha256.Size]byte // of the text of the file; set by Load only
}

// Kubernetes is the API server to follow, and which of its Services.
type Kubernetes struct {
	Kubeconfig        string   // path; "" if Servers are set
	Context           string   // of the kubeconfig; "" for its current one
	Servers           []string // key "server": https://host:port, of one cluster; empty if Kubeconfig is set
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
	MaxSize           Size // of what is read from the API server
}

// Expose is which Services are served.
type Expose string

// ExposeAll serves every Service that is not ignored, ExposeAnnotated only those
// with an annotation of podgate.
const (
	ExposeAll       Expose = "all"
	ExposeAnnotated Expose = "annotated"
)

// HAProxy is the files and sockets of the local HAProxy. Paths are absolute.
type HAProxy struct {
	Folder           string              // of podgate, loaded by HAProxy with -f
	AdminSocket      string              // its stats socket of level admin
	MasterSocket     string              // its master CLI
	Binary           string              // for haproxy -c
	Files            []string            // the operator's own -f files, key "config"; for haproxy -c
	ErrorFolder      string              // key "error_files"; "" for none
	ErrorFiles       []haproxy.ErrorFile // those of ErrorFolder that exist, by Code; set by Load only
	ReloadInterval   time.Duration       // upper bound of the minimum time between two reloads
	HardStopAfter    time.Duration       // maximum lifetime of an old worker; zero is no limit
	MaxWorkerReloads int                 // number of reloads that an old worker survives
	SpareBackends    int                 // number of spares of each class (haproxy.State.SpareBackends)
	AccessLog        haproxy.AccessLog   // format of the log of requests and connections
}

// HTTP is the plain HTTP frontend.
type HTTP struct {
	Binds         []netip.AddrPort // key "bind"; empty for no such frontend
	DefaultStatus int              // of the response to a request that matches no route
	NotFound      string           // file with the body of this response; "" for podgate's own text
	Relay         netip.AddrPort   // where old workers hand over their last requests; invalid for none

	AmbiguousPaths AmbiguousPaths
}

// AmbiguousPaths is what HAProxy does with a request whose path pods may take for another
// path.
type AmbiguousPaths string

// The values of AmbiguousPaths.
const (
	PassAmbiguous   AmbiguousPaths = "pass"
	RejectAmbiguous AmbiguousPaths = "reject"
)

// TCP is the addresses and ports that Services can have TCP frontends on.
type TCP struct {
	Addresses    []netip.Addr // where TCP frontends listen
	AllowedPorts []PortRange  // sorted; empty for none
	Services     []TCPService // key "service"; nil for none
}

// PortRange is a range of ports, both ends included.
type PortRange struct{ First, Last uint16 }

// Contains reports whether port is in the range.
func (r PortRange) Contains(port uint16) bool { return r.First <= port && port <= r.Last }

// Defaults apply to Services without an annotation for the setting.
type Defaults struct {
	Algorithm          haproxy.Balance
	Check              bool
	CheckInterval      time.Duration
	Cookie             string // name of the sticky cookie
	CookieKey          string // the same on every edge node
	MaxConn            int    // per server; zero is no limit
	TimeoutClient      time.Duration
	TimeoutServer      time.Duration
	TimeoutConnect     time.Duration
	TimeoutQueue       time.Duration
	TimeoutHTTPRequest time.Duration
	TimeoutKeepAlive   time.Duration
	TimeoutTunnel      time.Duration
}

// Safety limits how much is removed at one time, and how much one namespace has.
type Safety struct {
	MaxRemoval int           // in percent of what is in service; 100 disables the guard
	FromCount  int           // number of servers, or Services, from which MaxRemoval applies
	HoldTime   time.Duration // time that a removal is held before the cluster is listed again

	MaxBackends int // of one namespace
	MaxRoutes   int // of one namespace
	// MaxConditionalRoutes is the number of routes with conditions of one namespace, and
	// MaxTotalConditionalRoutes that of all.
	MaxConditionalRoutes, MaxTotalConditionalRoutes int
	MaxEndpoints                                    int // of one port of a Service

	MaxServers        int            // of one namespace
	MaxServiceServers int            // of all ports of one Service
	MaxReloadTime     time.Duration  // that the servers of one namespace add to a reload of HAProxy, estimated
	MaxSize           Size           // of HAProxy's configuration of one namespace, without servers
	MaxServiceSize    Size           // of one Service
	HostOwnership     HostOwnership  // which namespaces may have routes below a host
	Networks          []netip.Prefix // of the endpoints; empty for all
}

// HostOwnership is which namespaces may have routes for a host that one namespace has
// claimed.
type HostOwnership string

// OwnedByNamespace gives a host to the namespace that claimed it first, OwnedByNone
// each path of it to the Service that claimed it first.
const (
	OwnedByNamespace HostOwnership = "namespace"
	OwnedByNone      HostOwnership = "shared"
)

// Admin is the listeners and files for operators.
type Admin struct {
	Listen  []netip.AddrPort // of the page, JSON and metrics; empty for none
	Hosts   []string         // accepted in requests, lower case; addresses are always accepted
	Socket  string           // of podgate status and explain; "" for none
	History string           // file of the history; "" keeps it in memory only
}

// Log is how podgate logs.
type Log struct {
	Level  slog.Level
	Format LogFormat
}

// LogFormat is the format of a log line.
type LogFormat string

// LogText is slog's text format, LogJSON a JSON object per line.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)
