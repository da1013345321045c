// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// State is everything of ours that HAProxy should serve. All slices are
// sorted, so that equal States are deeply equal. A State is not changed once
// it was handed on.
type State struct {
	Settings  Settings
	Frontends []Frontend // by Name
	Backends  Backends   // by Name; States share those that are the same in both
	Routes    []Route    // by Route.Compare
	Node      Node

	// RuntimeBackends tells that light backends come and go while HAProxy runs,
	// and so are no part of the generation.
	RuntimeBackends bool
	// Classes of backends that are there although no backend may be of them now,
	// sorted. Only with RuntimeBackends.
	Classes []Policy
	// Edition tells generations apart that began with other light backends. It is
	// "" until Pinned. Only with RuntimeBackends.
	Edition string
	// Certificates are by Name; none where no Frontend ends TLS.
	Certificates []Certificate
}

// Backends is a list of backends.
type Backends = List[*Backend]

// Mode is how a proxy reads its traffic (configuration.txt "mode").
type Mode string

// The modes that we use. The zero Mode is not valid.
const (
	HTTP Mode = "http"
	TCP  Mode = "tcp"
)

// Settings hold for every section of ours.
type Settings struct {
	TimeoutClient      time.Duration // configuration.txt "timeout client"
	TimeoutServer      time.Duration // "timeout server", where a Backend has none of its own
	TimeoutConnect     time.Duration // "timeout connect", where a Policy has none of its own
	TimeoutHTTPRequest time.Duration // "timeout http-request"
	TimeoutKeepAlive   time.Duration // "timeout http-keep-alive"
	TimeoutTunnel      time.Duration // "timeout tunnel", WebSockets among them
	HardStopAfter      time.Duration // "hard-stop-after"; zero is without limit
	MaxWorkerReloads   int           `json:"RetiredWorkers"` // "mworker-max-reloads"; zero leaves it to HAProxy. The JSON name is that of podgate 0.1.0's files
	NotFound           string        // file with the body of the 404 page, absolute; "" is a line of text
	ErrorFiles         []ErrorFile   // by Code
	AccessLog          AccessLog     // how HAProxy logs requests and connections
	ClientKeepAlive    time.Duration // how long a silent client is left alone before TCP probes it; zero is the system's time
	// Trusted are the load balancers in front, sorted: what they say of a client
	// is believed, and what all others say is not.
	Trusted []netip.Prefix
	// ForwardedHops says which entry of X-Forwarded-For is the client, from the
	// end, in what Trusted send: 1 is the last. Zero believes none.
	ForwardedHops int
	// RelaySecret is what a worker shows at the Relay of the next one; "" where
	// there is no Relay. All workers have the same.
	RelaySecret  string
	RedirectPort uint16 // where Routes with Redirect send clients to; zero is 443
	// Peers are all edge nodes that share stick tables, by Name, this one among
	// them; nil for none (configuration.txt "peers").
	Peers []Peer
}

// AccessLog is a format of the lines that HAProxy logs of its traffic.
type AccessLog string

// The formats. The zero value is HTTPLog.
const (
	HTTPLog AccessLog = "httplog" // HAProxy's own (configuration.txt 8.2)
	JSONLog AccessLog = "json"    // an object a line that names namespace, Service and pod
)

// ErrorFile is one "errorfile CODE PATH" line.
type ErrorFile struct {
	Code int
	Path string // absolute
}

// Frontend is one listening proxy of ours.
type Frontend struct {
	Name    string
	Mode    Mode
	Binds   []netip.AddrPort // the unspecified address means every address of its family
	Backend string           // where a TCP frontend leads; "" in an HTTP frontend, which has Routes
	// Relay is a loopback address on which an HTTP frontend takes the requests
	// that its predecessor in a retired worker still gets. The zero AddrPort
	// means that a retired worker answers them itself, with the routes and
	// servers that it had: HAProxy changes no server in a worker that is
	// stopping ("Proxy is disabled."). Who connects to it may name any client
	// address, and so needs Settings.RelaySecret. It should not move while there
	// are retired workers.
	Relay netip.AddrPort
	// ExpectProxy takes a PROXY header, v1 or v2, from Settings.Trusted, whose
	// connections must begin with one. From others none is understood.
	ExpectProxy bool
	// Health makes it a frontend that tells a load balancer of the node, and
	// serves nothing else; nil in all others.
	Health *Health
	TLS    Termination // of what clients say
	// Inner is a loopback address on which an HTTP frontend ends TLS for what
	// its Binds, which then read the name that a client asks for before they do
	// anything else, do not pass through to a Backend. The zero AddrPort means
	// that nothing is passed through, and the Binds end TLS themselves. The
	// client's address comes by the PROXY protocol, so who may connect to it on
	// this box can claim any.
	Inner netip.AddrPort
}

// Route leads requests of the HTTP frontend, or of the TLS frontend, to a
// Backend. An exact Host beats a wildcard, which beats none; then the longest
// Path wins.
type Route struct {
	TLS      bool // reached through the TLS frontend instead of the plain one
	Host     HostPattern
	Path     PathPrefix
	FoldCase bool    // Path is lower case and matches without regard to case; false without Path
	Rewrite  Rewrite // what becomes of Path in the request
	Backend  string
	Redirect Redirect // answers with the same address in https instead; "" with TLS
	// Passthrough leads whole connections to a TCP backend, by the name that the
	// client asks for, before TLS is ended; with TLS and a Host, without a Path.
	Passthrough bool
}

// Rewrite is what stands for the matched path in the request that a server
// sees: "" leaves it, "/" takes it away, "/new" replaces it.
type Rewrite string

// Redirect says who is sent to https, where the Backend is reached.
type Redirect string

// The redirects. Who came by https to a load balancer that is believed, and that
// ended TLS, is not sent there again: ToHTTPS leads him to the Backend,
// ToHTTPSAlone, which is for Backends that TLS is passed through to, nowhere.
const (
	ToHTTPS      Redirect = "https"
	ToHTTPSAlone Redirect = "https-alone"
)

// Compare orders Routes by frontend, host, path and case.
func (r Route) Compare(o Route) int {
	return cmp.Or(
		compareBool(r.TLS, o.TLS),
		cmp.Compare(r.Host, o.Host),
		cmp.Compare(r.Path, o.Path),
		compareBool(r.FoldCase, o.FoldCase),
	)
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

// Backend is a set of equal servers and how they are used.
type Backend struct {
	Name    string
	Policy  Policy
	Options Options // of each of its servers
	// TimeoutServer is "timeout server" of this backend alone; zero takes that
	// of Settings. In HTTP mode it is changed at runtime.
	TimeoutServer time.Duration
	// HSTS is the "max-age" of Strict-Transport-Security in seconds, where
	// clients came by TLS; "" sends none. It is changed at runtime.
	HSTS    string
	Servers []Server // by Addr
	// Unknown says that nobody can tell its Servers now: those that HAProxy has
	// stay.
	Unknown bool
}

// SameStructure reports whether the backends differ in nothing but their servers,
// and whether these are known.
func (b *Backend) SameStructure(o *Backend) bool {
	return b.Name == o.Name && b.Policy == o.Policy && b.Options == o.Options && b.TimeoutServer == o.TimeoutServer && b.HSTS == o.HSTS
}

// Balance is a load balancing algorithm that accepts servers at runtime
// (configuration.txt "balance").
type Balance string

// The algorithms on offer. Source goes with "hash-type consistent".
const (
	RoundRobin Balance = "roundrobin"
	LeastConn  Balance = "leastconn"
	First      Balance = "first"
	Source     Balance = "source"
	Random     Balance = "random"
)

// Balances lists the algorithms in the order in which they are told to users.
func Balances() []Balance { return []Balance{RoundRobin, LeastConn, First, Source, Random} }

// Policy is what holds for a whole backend and can only be changed by loading
// a new configuration. Backends of equal Policy share one named defaults
// section.
type Policy struct {
	Mode           Mode
	Balance        Balance
	Cookie         string        // name of the cookie that keeps a client on its server; "" for none
	CookieKey      string        // "dynamic-cookie-key": cookie values are a hash of it and the server's address
	ClientAffinity time.Duration // keep a client address on its server for so long after its last connection; zero for not at all
	CheckPath      string        // path of an HTTP health check; "" for a connection only
	TimeoutConnect time.Duration // zero takes that of Settings
	AllowSource    Networks      // who else is answered 403, or dropped in TCP mode; "" is nobody
}

// Protocol is how servers are spoken to.
type Protocol string

// The protocols on offer. Plain is HTTP/1.1 in an HTTP backend and bytes in a
// TCP backend. The server's certificate is verified where Options has a CAFile.
const (
	Plain Protocol = "plain"
	TLS   Protocol = "tls" // HTTP/1.1 over TLS
	H2    Protocol = "h2"  // HTTP/2 over TLS
	H2C   Protocol = "h2c" // HTTP/2 in clear text
)

// Options are the parameters of a server, the same for all of a backend
// whether the file declares them or the runtime API adds them.
type Options struct {
	Protocol      Protocol
	Check         bool
	CheckInterval time.Duration // "inter"; of no meaning without Check
	MaxConn       int           // connections per server; zero is without limit
	SendProxy     SendProxy     // tells a server the client's address in a PROXY header; "" for not
	SlowStart     time.Duration // how long a server that comes up takes to its full share; zero for at once
	// CAFile holds the authorities that servers' certificates are verified with,
	// absolute, and ServerName is the name that they must have and are asked for
	// (SNI); of a Protocol with TLS alone. "" verifies nothing and sends no name.
	CAFile, ServerName string
}

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
	State ServerState // Ready or Drain where it is wanted; any where it was observed
	// Weight is its share of the load beside the other servers of its backend, 2
	// to 256; zero is HAProxy's default, 1.
	Weight uint16
}

// Name is the server's name in HAProxy: its address and port, without the
// brackets of IPv6, which HAProxy does not take in a name.
func (s Server) Name() string { return ServerName(s.Addr) }

// ServerName is the name of the server at addr.
func ServerName(addr netip.AddrPort) string {
	return string(appendServerName(make([]byte, 0, maxServerName), addr))
}

const maxServerName = len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535")

func appendServerName(name []byte, addr netip.AddrPort) []byte {
	return strconv.AppendUint(append(addr.Addr().AppendTo(name), ':'), uint64(addr.Port()), 10)
}

// ServerID is the "id" of the server at addr, equal on every edge node and over
// every reload, so that consistent hashing sends a client to the same server
// everywhere. The ids of IPv4 servers of one port differ as long as their
// addresses differ in more than the highest bit.
func ServerID(addr netip.AddrPort) int {
	const odd = 0x9E3779B1 // multiplying by it permutes the 32-bit numbers
	var x uint32
	if a := addr.Addr(); a.Is4() {
		b := a.As4()
		x = binary.BigEndian.Uint32(b[:])
	} else {
		b := a.As16()
		h := fnv.New32a()
		h.Write(b[:])
		x = h.Sum32()
	}
	x = (x ^ uint32(addr.Port())<<16) * odd
	return max(1, int(x&0x7fffffff))
}

// ParseServerName is the inverse of ServerName. It reports whether name was
// made by it; servers of other names are not ours.
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

// search returns the index of the backend of that name.
func (s State) search(name string) (int, bool) {
	return s.Backends.Search(func(b *Backend) int { return cmp.Compare(b.Name, name) })
}

// searchAt is search, for a backend that is most likely the one of that index.
func (s State) searchAt(likely int, name string) (int, bool) {
	if likely < s.Backends.Len() && s.Backends.At(likely).Name == name {
		return likely, true
	}
	return s.search(name)
}

// Structure is what of s its configuration file keeps until the next reload:
// Pinned, without routes and servers.
func (s State) Structure() State {
	s = s.Pinned()
	s.Routes, s.Certificates, s.Node = nil, nil, Node{}
	backends := make([]Backend, s.Backends.Len()) // in one piece
	bare := make([]*Backend, len(backends))
	for i, b := range s.Backends.All() {
		backends[i] = *b
		backends[i].Servers = nil
		bare[i] = &backends[i]
	}
	s.Backends = ListOf(bare...)
	return s
}
