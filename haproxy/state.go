// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// State is everything that HAProxy should serve for podgate. All slices are
// sorted, so that equal States are deeply equal. A State must not be changed after
// it was passed to another function.
type State struct {
	Settings  Settings
	Frontends []Frontend // by Name
	Backends  Backends   // by Name; States share those that are the same in both
	Routes    []Route    // by Route.Compare
	HeldHosts []HeldHost // by Host; only with Settings.HoldHosts
	Node      Node

	// RuntimeBackends means that dynamic backends are added and deleted while
	// HAProxy runs. The generation does not depend on them then.
	RuntimeBackends bool
	// SpareBackends is how many spares of each class are loaded; see Backend.Spare. Without
	// effect if RuntimeBackends is set.
	SpareBackends int
	// Classes are the classes (see Policy.Class) that HAProxy has a defaults section
	// for even if no backend uses it now, sorted. Only with RuntimeBackends or
	// SpareBackends.
	Classes []Policy
	// DynamicHash is a hash of the dynamic backends with which the configuration was
	// first loaded, so that two such configurations have different generations.
	// AsLoaded sets it; it is "" before. Only with RuntimeBackends. Files of podgate
	// 0.1.0 have the JSON name.
	DynamicHash string `json:"Edition"`
	// Certificates are by Name; empty if no Frontend ends TLS.
	Certificates []Certificate
	// HeaderNames are the names of headers, sorted, that HAProxy has lines for even if no
	// Route changes them now. Only with Settings.Rules, and without RuntimeBackends:
	// HAProxy 3.4 reads the names from a map.
	HeaderNames []string `json:",omitempty"`
}

// Backends is a list of backends.
type Backends = List[*Backend]

// Mode is how a proxy reads its traffic (configuration.txt "mode").
type Mode string

// The modes that podgate uses. The zero Mode is not valid.
const (
	HTTP Mode = "http"
	TCP  Mode = "tcp"
)

// Settings hold for every section of podgate's configuration.
type Settings struct {
	TimeoutClient      time.Duration // configuration.txt "timeout client"
	TimeoutServer      time.Duration // "timeout server"; a Backend can override it
	TimeoutConnect     time.Duration // "timeout connect"; a Policy can override it
	TimeoutQueue       time.Duration // "timeout queue"
	TimeoutHTTPRequest time.Duration // "timeout http-request"
	TimeoutKeepAlive   time.Duration // "timeout http-keep-alive"
	TimeoutTunnel      time.Duration // "timeout tunnel", WebSockets among them
	HardStopAfter      time.Duration // "hard-stop-after"; zero means no limit
	MaxWorkerReloads   int           `json:"RetiredWorkers"` // "mworker-max-reloads"; zero means HAProxy's default. Files of podgate 0.1.0 have the JSON name
	DefaultStatus      int           // of the response to a request without a route; zero means 404
	NotFound           string        // absolute path of a file with the body of this response; "" means a line of text
	RejectAmbiguous    bool          // answers 400 to each request with an AmbiguousPath
	ErrorFiles         []ErrorFile   // by Code
	AccessLog          AccessLog     // how HAProxy logs requests and connections
	ClientKeepAlive    time.Duration // idle time of a client after which TCP probes it; zero means the system's default
	// Trusted are the networks of the load balancers in front, sorted. The client
	// address that they send is trusted; that of all other sources is ignored.
	Trusted []netip.Prefix
	// ForwardedHops is the position of the client in an X-Forwarded-For that Trusted
	// send, counted from the end: 1 is the last entry. Zero ignores the header.
	ForwardedHops int
	// PassForwarded passes on the X-Forwarded headers of every client, and adds its
	// address to them, if ForwardedHops is zero. The client address does not depend on
	// them.
	PassForwarded bool
	// RelaySecret is what a worker sends to authenticate at the Relay of the next
	// worker, the same for all workers; "" if no Frontend has a Relay.
	RelaySecret string
	// HoldHosts makes the frontends keep requests for HeldHosts from the Routes of other
	// namespaces.
	HoldHosts bool
	// StatePerBackend makes each backend name the file of server states, because the
	// global section of the operator names another one, and HAProxy uses the first.
	StatePerBackend bool
	RedirectPort    uint16 // port to which Routes with Redirect send clients; zero means 443
	// Peers are all edge nodes that share stick tables, by Name, including this one;
	// nil if tables are not shared (configuration.txt "peers").
	Peers []Peer
	// Rules makes the frontends serve Routes with Listener, Exact, Conditions, Actions or a
	// Host that begins with "**.". Without it there must be no such Route.
	Rules bool `json:",omitempty"`
}

// AccessLog is the format in which HAProxy logs requests and connections.
type AccessLog string

// The formats. The zero value is HTTPLog.
const (
	HTTPLog AccessLog = "httplog" // HAProxy's own (configuration.txt 8.2)
	JSONLog AccessLog = "json"    // one object per line, with namespace, Service and pod
)

// ErrorFile is one "errorfile CODE PATH" line.
type ErrorFile struct {
	Code int
	Path string // absolute
}

// Frontend is one listening proxy of podgate's configuration.
type Frontend struct {
	Name    string
	Mode    Mode
	Binds   []netip.AddrPort // the unspecified address means every address of its family
	Backend string           // the Backend of a TCP frontend; "" in an HTTP frontend, which has Routes
	// Relay is a loopback address on which an HTTP frontend accepts the requests
	// that clients still send to an old worker. Without it (the zero AddrPort) an old
	// worker answers them itself, with the routes and servers that it had: HAProxy
	// changes no server in a worker that is stopping ("Proxy is disabled."). A process
	// that connects to it can claim any client address, so Settings.RelaySecret is
	// required there. Relay should not change while there are old workers.
	Relay netip.AddrPort
	// ExpectProxy requires a PROXY header, v1 or v2, on every connection from
	// Settings.Trusted. Connections from all other sources must not have one.
	ExpectProxy bool
	// Health makes the frontend answer health checks of the node, and nothing else;
	// nil for all other frontends.
	Health *Health
	// Stats makes the frontend show HAProxy's own statistics, and nothing else; nil for
	// all other frontends.
	Stats *Stats
	TLS   Termination // of the connections of clients
	// TLSLoopback is a loopback address on which an HTTP frontend ends TLS if TLS of
	// other hosts is passed through. Its Binds then only read the host name (SNI) and
	// lead the connection to a Backend or to TLSLoopback. The zero AddrPort means that
	// nothing is passed through and the Binds end TLS themselves. TLSLoopback gets the
	// client address by the PROXY protocol, so that a local process that can connect
	// to it can claim any address.
	TLSLoopback netip.AddrPort `json:"Inner"`
}

// Route leads requests of the HTTP frontend, or of the TLS frontend, to a
// Backend, or does its Actions. The most special Host wins: an exact one, "*.", the
// longest "**.", none. Then an Exact path wins, then the longest Path, then the lowest
// Order. A Route whose Conditions a request does not meet does not match it.
type Route struct {
	TLS      bool // reached through the TLS frontend instead of the plain one
	Host     HostPattern
	Path     PathPrefix
	FoldCase bool    // Path is lower case and matches regardless of case; false without Path
	Rewrite  Rewrite // replaces Path in the request
	Backend  string
	Redirect Redirect // redirects clients to the same URL with https; "" with TLS
	// Passthrough leads whole connections to a TCP backend, by the host name that the
	// client sends (SNI), without ending TLS. It requires TLS and a Host and excludes
	// a Path.
	Passthrough bool
	// Namespace is that of the Backend, for a Route without a Host; "" if every namespace
	// may match below the HeldHosts.
	Namespace string

	// Listener is the address that clients connect to. The zero value means every Bind of
	// the frontend that is no Listener of any Route. A connection to a Listener matches no
	// other Routes.
	Listener netip.AddrPort `json:",omitzero"`
	// Exact matches only the whole path: Path may be "/" or end in a slash then. It
	// excludes FoldCase.
	Exact bool `json:",omitempty"`
	// Conditions are what the request must have in addition; nil for none. They exclude
	// FoldCase: a Route with FoldCase always matches, as the last of its Path.
	Conditions *Conditions `json:",omitempty"`
	// Order is the position of the Route among those with the same frontend, Listener,
	// Host, Path and Exact. Routes after one without Conditions never match.
	Order int `json:",omitempty"`
	// Actions are what happens to the request; nil for Backend and Rewrite alone. They
	// exclude Redirect and Passthrough.
	Actions *Actions `json:",omitempty"`
	Origin  *Origin  `json:",omitempty"` // nil for a Route of an annotation
}

// Rewrite replaces the matched path in the request that a server receives: ""
// keeps it, "/" removes it, "/new" replaces it.
type Rewrite string

// Redirect is which clients of a plain HTTP Route are redirected to https.
type Redirect string

// The redirects. A client that already used https, to a trusted load balancer which
// ended TLS, is not redirected again: ToHTTPS leads the request to the Backend, and
// ToHTTPSAlone, for Backends to which TLS is passed through, rejects it.
const (
	ToHTTPS      Redirect = "https"
	ToHTTPSAlone Redirect = "https-alone"
)

// Compare orders Routes by frontend, listener, host, path, case and Order.
func (r Route) Compare(o Route) int {
	return cmp.Or(
		compareBool(r.TLS, o.TLS),
		r.Listener.Compare(o.Listener),
		cmp.Compare(r.Host, o.Host),
		cmp.Compare(r.Path, o.Path),
		compareBool(r.FoldCase, o.FoldCase),
		compareBool(r.Exact, o.Exact),
		cmp.Compare(r.Order, o.Order),
	)
}

// Equal reports whether all fields are equal, and the content of those that are pointers.
func (r Route) Equal(o Route) bool {
	conditions, actions, origin := r.Conditions, r.Actions, r.Origin
	r.Conditions, r.Actions, r.Origin = o.Conditions, o.Actions, o.Origin
	return r == o && equalContent(conditions, o.Conditions) && equalContent(actions, o.Actions) && equalContent(origin, o.Origin)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Backend is a set of equal servers and their common configuration.
type Backend struct {
	Name    string
	Policy  Policy
	Options Options // of each of its servers
	// TimeoutServer is "timeout server" of this backend, and TimeoutTunnel "timeout
	// tunnel", which replaces it after an upgrade, and in TCP mode; zero means those of
	// Settings. In TCP mode, a zero TimeoutTunnel means TimeoutServer. In HTTP mode, they
	// can change without a reload.
	TimeoutServer, TimeoutTunnel time.Duration
	// HSTS is the "max-age" of Strict-Transport-Security in seconds, sent to clients
	// that use TLS; "" sends no such header. It can change without a reload.
	HSTS string
	// Cookie is the cookie of the Policy as clients see it; the zero value if the Policy
	// has none. It can change without a reload.
	Cookie  Cookie
	Servers []Server // by Addr
	// Unknown means that the cluster's list of Servers is not known now. HAProxy keeps
	// the servers that it has.
	Unknown bool
	// Spare is the name of the spare that the backend has taken, under which HAProxy knows
	// it until the next reload. It is "" if HAProxy knows the backend by its Name, and the
	// Name of a spare that is not taken. Only in a State that is loaded.
	Spare string `json:",omitempty"`
}

// SameStructure reports whether the backends differ in Servers, Unknown and Spare at most.
func (b *Backend) SameStructure(o *Backend) bool {
	return b.Name == o.Name && b.Policy == o.Policy && b.Options == o.Options && b.TimeoutServer == o.TimeoutServer && b.TimeoutTunnel == o.TimeoutTunnel && b.HSTS == o.HSTS &&
		b.Cookie == o.Cookie
}

// Balance is a load balancing algorithm that accepts servers at runtime
// (configuration.txt "balance").
type Balance string

// The supported algorithms. Source is used with "hash-type consistent".
const (
	RoundRobin Balance = "roundrobin"
	LeastConn  Balance = "leastconn"
	First      Balance = "first"
	Source     Balance = "source"
	Random     Balance = "random"
)

// Balances lists the algorithms in the order in which messages list them.
func Balances() []Balance { return []Balance{RoundRobin, LeastConn, First, Source, Random} }

// Policy is the configuration of a whole backend that only a reload changes.
// Backends of equal Class share one named defaults section.
type Policy struct {
	Mode           Mode
	Balance        Balance
	Cookie         string        // name in HAProxy of the cookie that binds a client to its server; "" sends no cookie
	CookieKey      string        // "dynamic-cookie-key": cookie values are a hash of it and the server's address
	ClientAffinity time.Duration // how long a client address stays bound to its server after its last connection; zero binds none
	CheckPath      string        // path of an HTTP health check; "" checks the connection only
	TimeoutConnect time.Duration // zero means that of Settings
	AllowSource    Networks      // the clients that may connect: all others get 403, or a reset in TCP mode; "" allows all
}

// Protocol is the protocol between HAProxy and a server.
type Protocol string

// The supported protocols. Plain is HTTP/1.1 in an HTTP backend and bytes in a
// TCP backend. HAProxy verifies the server's certificate if Options has a CAFile.
const (
	Plain Protocol = "plain"
	TLS   Protocol = "tls" // HTTP/1.1 over TLS
	H2    Protocol = "h2"  // HTTP/2 over TLS
	H2C   Protocol = "h2c" // HTTP/2 in clear text
)

// Options are the parameters of the servers of a backend, the same for those that
// the file declares and those that the runtime API adds.
type Options struct {
	Protocol      Protocol
	Check         bool
	CheckInterval time.Duration // "inter"; ignored without Check
	MaxConn       int           // connections per server; zero means no limit
	SendProxy     SendProxy     // version of the PROXY header that HAProxy sends to servers; "" sends none
	SlowStart     time.Duration // "slowstart" of a server that becomes ready; zero sends it its full share immediately
	// CAFile is the absolute path of the authorities that verify the servers'
	// certificates; "" verifies nothing. Only for a Protocol with TLS.
	CAFile string
	// ServerName is the host name that HAProxy sends (SNI) in health checks, and in other
	// connections if the client names no host. With CAFile, HAProxy sends it in every
	// connection, and the certificates must have it. Only for a Protocol with TLS; ""
	// sends the name that HAProxy sends by default.
	ServerName string
}

// UsesTLS reports whether HAProxy speaks TLS with the servers.
func (o Options) UsesTLS() bool { return o.Protocol == TLS || o.Protocol == H2 }

// SendProxy is a version of the PROXY protocol (proxy-protocol.txt).
type SendProxy string

// The versions: a line of text, or binary.
const (
	ProxyV1 SendProxy = "v1"
	ProxyV2 SendProxy = "v2"
)

// Server is one address of a Backend. Its address is its identity.
type Server struct {
	Addr  netip.AddrPort
	State ServerState // Ready or Drain in a wanted State; any in an observed one
	// Weight is its share of the load relative to the other servers of its backend, 2
	// to 256; zero is HAProxy's default, 1.
	Weight uint16
}

// Name is the server's name in HAProxy: its address and port, without the
// brackets of IPv6, which HAProxy does not accept in a name.
func (s Server) Name() string { return ServerName(s.Addr) }

// ServerName is the name of the server at addr.
func ServerName(addr netip.AddrPort) string {
	return string(appendServerName(make([]byte, 0, maxServerName), addr))
}

const maxServerName = len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535")

func appendServerName(name []byte, addr netip.AddrPort) []byte {
	return strconv.AppendUint(append(addr.Addr().AppendTo(name), ':'), uint64(addr.Port()), 10)
}

// ParseServerName is the inverse of ServerName. It returns false for a name that
// ServerName does not make, which is that of an unmanaged server.
func ParseServerName(name string) (netip.AddrPort, bool) {
	i := strings.LastIndexByte(name, ':')
	if i < 0 {
		return netip.AddrPort{}, false
	}
	written := name
	if host := name[:i]; strings.Contains(host, ":") {
		written = "[" + host + "]" + name[i:]
	}
	addr, err := netip.ParseAddrPort(written)
	if err != nil || string(appendServerName(make([]byte, 0, maxServerName), addr)) != name {
		return netip.AddrPort{}, false
	}
	return addr, true
}

// Backend returns a copy of the backend of that name.
func (s State) Backend(name string) (Backend, bool) {
	i, ok := s.search(name)
	if !ok {
		return Backend{}, false
	}
	return *s.Backends.At(i), true
}

// search returns the index of the backend of that name, or where it would be.
func (s State) search(name string) (int, bool) {
	return s.Backends.Search(func(b *Backend) int { return cmp.Compare(b.Name, name) })
}

// searchAt is search that tries an index first at which the backend probably is.
func (s State) searchAt(likely int, name string) (int, bool) {
	if likely < s.Backends.Len() && s.Backends.At(likely).Name == name {
		return likely, true
	}
	return s.search(name)
}

// Structure returns what the configuration of s fixes until the next reload:
// AsLoaded, without routes, certificates and servers.
func (s State) Structure() State {
	s = s.AsLoaded()
	s.Routes, s.HeldHosts, s.Certificates, s.Node = nil, nil, nil, Node{}
	backends := make([]Backend, s.Backends.Len()) // one allocation
	bare := make([]*Backend, len(backends))
	for i, b := range s.Backends.All() {
		backends[i] = *b
		backends[i].Servers = nil
		bare[i] = &backends[i]
	}
	s.Backends = ListOf(bare...)
	return s
}
