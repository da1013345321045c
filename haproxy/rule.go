// SPDX-License-Identifier: Apache-2.0

package haproxy

import "time"

// Conditions are what a request must have for a Route, in addition to its Host and Path.
// All of them must be met. A Route with Conditions is data: it changes without a reload.
type Conditions struct {
	Method  string       // such as GET; "" means every method
	Path    Regexp       // which the whole path must match; "" means every path
	Headers []ValueMatch // by Name, each Name once
	Query   []ValueMatch // by Name, each Name once
}

// ValueMatch is a condition on a header or on a parameter of the query.
type ValueMatch struct {
	Name   string // of a header in lower case
	Value  string // the exact value; "" if Regexp is set
	Regexp Regexp // which the whole value must match
}

// Actions are what happens to a request, and to its response, in addition to Route.Rewrite.
// At most one of Location, Answer and Targets is set.
type Actions struct {
	Targets  []Target  // by weight; nil means Route.Backend
	Location *Location // redirects the client
	Answer   int       // status of a fixed answer without a body; zero means none
	Host     string    // replaces Host; "" keeps it
	FullPath string    // replaces the whole path; "" keeps it. Excludes Route.Rewrite
	Request  HeaderChanges
	Response HeaderChanges
	CORS     *CORS
	// Timeout is how long a server may be silent; zero means that of the Backend, and
	// negative means no limit.
	Timeout time.Duration
}

// MaxTargets is how many Targets a Route may have.
const MaxTargets = 16

// MaxWeight is the maximum weight of a Target.
const MaxWeight = 1_000_000

// Target is one of several destinations of a Route.
type Target struct {
	Backend  string // "" means an invalid reference: its share of requests is answered with 500
	Weight   int    // its share of the sum of all weights; zero gets no requests
	Request  HeaderChanges
	Response HeaderChanges
}

// Location is where a client is redirected to. An empty part is that of the request.
type Location struct {
	Scheme   string // "http" or "https"
	Host     string
	Port     uint16 // zero means that of Scheme, if Scheme is set, else that of the request
	FullPath string // replaces the whole path. Excludes Rewrite
	Rewrite  Rewrite
	Code     int // 301, 302, 303, 307 or 308
}

// HeaderChanges are changes of the headers of a request or a response, in the order of the
// fields. Names are lower case; each list is by Name, each Name once.
type HeaderChanges struct {
	Set    []Header
	Add    []Header
	Remove []string
}

// Header is the name and the value of a header.
type Header struct{ Name, Value string }

// CORS lists the origins that may read the responses of a Route (Fetch standard, "CORS
// protocol"). HAProxy answers preflight requests itself.
type CORS struct {
	Origins     []string // exact, with one "*" as a wildcard, or "*" alone
	Methods     []string // "*" alone means every method
	Headers     []string // of requests; "*" alone means every header
	Expose      []string // headers of responses
	Credentials bool
	MaxAge      time.Duration // of the answer to a preflight request; zero sends none
}

// Origin is the object that a Route was made from, for messages.
type Origin struct {
	Kind, Namespace, Name string // such as HTTPRoute, shop and cart
	Rule                  int    // index of the rule in the object, and of the match in the rule
	Match                 int
}

// Regexp is a regular expression that HAProxy can evaluate in linear time.
type Regexp string
