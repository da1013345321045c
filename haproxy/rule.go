// SPDX-License-Identifier: Apache-2.0

package haproxy

import "time"

// Conditions are what a request must have for a Route, in addition to its Host and Path.
// All of them must be met. A Route with Conditions is data: it changes without a reload.
type Conditions struct {
	Method  string       `json:",omitzero"` // such as GET; "" means every method
	Path    Regexp       `json:",omitzero"` // which the whole path must match; "" means every path
	Headers []ValueMatch `json:",omitzero"` // by Name, each Name once
	Query   []ValueMatch `json:",omitzero"` // by Name, each Name once
}

// ValueMatch is a condition on a header or on a parameter of the query. A header that
// occurs several times meets it if one of its lines does; of a parameter only the first
// counts. A parameter is compared with Value after it was decoded (percent-encoding and
// "+"), and with Regexp as it is in the request.
type ValueMatch struct {
	Name   string `json:",omitzero"` // of a header in lower case
	Value  string `json:",omitzero"` // the exact value; "" if Regexp is set
	Regexp Regexp `json:",omitzero"` // which the whole value must match
}

// Actions are what happens to a request, and to its response, in addition to Route.Rewrite.
// At most one of Location, Answer and Targets is set.
type Actions struct {
	Targets  []Target      `json:",omitzero"` // by weight; nil means Route.Backend
	Location *Location     `json:",omitzero"` // redirects the client
	Answer   int           `json:",omitzero"` // status of a fixed answer without a body; zero means none
	Host     string        `json:",omitzero"` // replaces Host; "" keeps it
	FullPath string        `json:",omitzero"` // replaces the whole path; "" keeps it. Excludes Route.Rewrite
	Request  HeaderChanges `json:",omitzero"`
	Response HeaderChanges `json:",omitzero"`
	CORS     *CORS         `json:",omitzero"`
	// Timeout is how long a server may be silent; zero means that of the Backend, and
	// negative means no limit.
	Timeout time.Duration `json:",omitzero"`
}

// MaxTargets is how many Targets a Route may have.
const MaxTargets = 16

// MaxWeight is the maximum weight of a Target.
const MaxWeight = 1_000_000

// Target is one of several destinations of a Route.
type Target struct {
	Backend  string        `json:",omitzero"` // "" means an invalid reference: its share of requests is answered with 500
	Weight   int           `json:",omitzero"` // its share of the sum of all weights; zero gets no requests
	Request  HeaderChanges `json:",omitzero"`
	Response HeaderChanges `json:",omitzero"`
}

// Location is where a client is redirected to. An empty part is that of the request.
type Location struct {
	Scheme   string  `json:",omitzero"` // "http" or "https"
	Host     string  `json:",omitzero"`
	Port     uint16  `json:",omitzero"` // zero means that of Scheme, if Scheme is set, else that of the request
	FullPath string  `json:",omitzero"` // replaces the whole path. Excludes Rewrite
	Rewrite  Rewrite `json:",omitzero"`
	Code     int     `json:",omitzero"` // 301, 302, 303, 307 or 308
}

// HeaderChanges are changes of the headers of a request or a response, in the order of the
// fields. Names are lower case; each list is by Name, each Name once.
type HeaderChanges struct {
	Set    []Header `json:",omitzero"`
	Add    []Header `json:",omitzero"`
	Remove []string `json:",omitzero"`
}

// Header is the name and the value of a header.
type Header struct{ Name, Value string }

// CORS lists the origins that may read the responses of a Route (Fetch standard, "CORS
// protocol"). HAProxy answers preflight requests itself.
type CORS struct {
	Origins     []string      `json:",omitzero"` // exact, with one "*" as a wildcard, or "*" alone
	Methods     []string      `json:",omitzero"` // "*" alone means every method
	Headers     []string      `json:",omitzero"` // of requests; "*" alone means every header
	Expose      []string      `json:",omitzero"` // headers of responses
	Credentials bool          `json:",omitzero"`
	MaxAge      time.Duration `json:",omitzero"` // of the answer to a preflight request; zero sends none
}

// Origin is the object that a Route was made from, for messages. HAProxy does not know it.
type Origin struct {
	Kind, Namespace, Name string `json:",omitzero"` // such as HTTPRoute, shop and cart
	Rule                  int    `json:",omitzero"` // index of the rule in the object, and of the match in the rule
	Match                 int    `json:",omitzero"`
}

// Regexp is a regular expression in the syntax of Go (package regexp/syntax, Perl flags)
// that HAProxy can evaluate in linear time. The maps have it in the syntax of PCRE, such
// that it matches no line end, and in a query no "&".
type Regexp string
