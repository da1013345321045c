// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Target is a Service as its clients reach it. A request to it fails unless the answer is
// complete, has status 200, and is from a pod of the Service that received the right path
// and the whole body.
type Target struct {
	Service string
	Request                       // Path without a query; Body is not used
	Strip   string                // the prefix that HAProxy removes from Path
	TCP     bool                  // HAProxy passes the connection on; each request has one of its own
	Stays   func(pod string) bool // reports whether a client must reach this pod again by its cookie; nil: cookies are sent, and not checked
}

type target struct {
	Target
	since   time.Time      // when it was first answered
	running sync.WaitGroup // requests
}

// query is the request's parameters for the pod.
type query struct {
	number int // of the request, as HAProxy logs it
	sleep  time.Duration
	size   int // of the answer; zero for the pod's own
	post   int // bytes that are sent; zero for a GET
}

// newQuery returns the query of the n-th request: every fiftieth is slow, so that
// terminating pods have requests to finish, every tenth is a POST, and every hundredth has
// an answer larger than all buffers.
func newQuery(n int) query {
	q := query{number: n}
	if n%50 == 49 {
		q.sleep = 50*time.Millisecond + rand.N(250*time.Millisecond)
	}
	if n%10 == 0 {
		q.post = 2000
	}
	if n%100 == 0 {
		q.size = 200_000
	}
	return q
}

func (q query) request(t *target) Request {
	r := t.Request
	r.Body = q.post
	r.Path += fmt.Sprintf("?id=%d", q.number)
	if q.sleep > 0 {
		r.Path += "&sleep=" + q.sleep.String()
	}
	if q.size > 0 {
		r.Path += fmt.Sprintf("&size=%d", q.size)
	}
	return r
}

// caller is a client that keeps its cookies, and checks the answers.
type caller struct {
	Client
	cookies map[string]session // by Service
}

// session is a cookie and the pod that it selects.
type session struct{ cookie, pod string }

// ask sends one request and returns why it failed; nil if it did not.
func (c *caller) ask(t *target, q query) error {
	if t.TCP || c.opened.Before(t.since) {
		// A connection stays with the HAProxy process that accepted it, and one
		// that was replaced by a reload knows no Service that was added later.
		c.Close()
	}
	r, s := q.request(t), c.cookies[t.Service]
	if s.cookie != "" {
		r.Header += "Cookie: " + s.cookie + "\r\n"
	}
	stays := s.pod != "" && t.Stays != nil && t.Stays(s.pod)
	a, err := c.Do(r)
	if t.TCP {
		c.Close()
	}
	if err == nil {
		err = t.check(a, q)
	}
	if err != nil {
		c.Close()
		return err
	}
	pod := a.Header.Get(PodHeader)
	if stays && pod != s.pod && t.Stays(s.pod) {
		return fmt.Errorf("answered by pod %s, but the cookie's pod %s stays", pod, s.pod)
	}
	c.keep(t.Service, a, pod)
	return nil
}

// keep stores the cookie of an answer, if it has one.
func (c *caller) keep(service string, a Answer, pod string) {
	set := a.Header.Get("Set-Cookie")
	if set == "" {
		return
	}
	if c.cookies == nil {
		c.cookies = map[string]session{}
	}
	cookie, _, _ := strings.Cut(set, ";")
	c.cookies[service] = session{cookie, pod}
}

// check returns why the request with this answer failed; see Target.
func (t *target) check(a Answer, q query) error {
	path := "/" + strings.TrimLeft(strings.TrimPrefix(t.Path, t.Strip), "/")
	switch {
	case a.Status != http.StatusOK:
		return StatusError(a.Status)
	case a.Header.Get(ServiceHeader) != t.Service:
		return fmt.Errorf("answered by Service %q", a.Header.Get(ServiceHeader))
	case a.Header.Get(pathHeader) != path:
		return fmt.Errorf("the pod received the path %q instead of %q", a.Header.Get(pathHeader), path)
	case a.Header.Get(readHeader) != strconv.Itoa(q.post):
		return fmt.Errorf("the pod received %s of %d bytes", a.Header.Get(readHeader), q.post)
	case q.size > 0 && a.Size != int64(q.size):
		return fmt.Errorf("the answer has %d of %d bytes", a.Size, q.size)
	}
	return nil
}

// StatusError is the status of an answer, if that is not 200.
type StatusError int

func (e StatusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// Ask sends one request for a target, over a connection of its own, and returns why it
// failed: a StatusError, or another error. No Load counts the request.
func Ask(t Target) error {
	c := new(caller)
	defer c.Close()
	return c.ask(&target{Target: t}, query{})
}
