// SPDX-License-Identifier: Apache-2.0

package kubeapi

import "time"

// Status is the state of following the API server. It is a copy.
type Status struct {
	Server     string         // URL of the server in use
	Conditions []Condition    // in the order in which they began; empty while everything is followed
	Listed     time.Time      // when every resource was last listed completely; zero for never
	Heard      time.Time      // when the server last sent a list, an event or a bookmark; zero for never
	Polling    bool           // a resource is polled because watches of it fail
	Reading    Reading        // of the lists before the first complete one
	Requests   map[int]int    // by HTTP status code; 0 is no answer
	WatchEnds  map[string]int // by one of WatchEnds
}

// Reading is how many objects were received so far.
type Reading struct{ Services, EndpointSlices int }

// Condition is one thing that keeps a Client from following.
type Condition struct {
	Kind  ConditionKind `json:"kind"`
	Text  string        `json:"text"` // the error, with the remedy if one is known
	Since time.Time     `json:"since"`
}

// ConditionKind names a Condition, in metrics and in JSON.
type ConditionKind string

// The kinds of a Condition.
const (
	Unreachable            ConditionKind = "unreachable"             // no answer, or an error of the server
	Unauthorized           ConditionKind = "unauthorized"            // 401
	Forbidden              ConditionKind = "forbidden"               // 403, or 404 of a resource that it does not have
	CredentialsUnavailable ConditionKind = "credentials-unavailable" // the credential plugin fails
	Throttled              ConditionKind = "throttled"               // 429
	TooLarge               ConditionKind = "too-large"               // an answer that Config.MaxSize does not allow
)

// ConditionKinds lists what Condition.Kind may be.
func ConditionKinds() []ConditionKind {
	return []ConditionKind{Unreachable, Unauthorized, Forbidden, CredentialsUnavailable, Throttled, TooLarge}
}

// WatchEnds lists the causes for which a watch ends and another begins. "timeout" is
// the normal end of a healthy one.
func WatchEnds() []string {
	return []string{"timeout", "relist", "expired", "stalled", "rejected", "unreadable", "disconnected", "error"}
}

// Status returns the present state. It may be called concurrently.
func (c *Client) Status() Status {
	s := c.tracker.status()
	s.Server, s.Requests = c.Server(), c.credentials.Answers()
	return s
}
