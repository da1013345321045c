// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// SetTimeouts shortens how long a test waits for a server that hangs.
func (c *Client) SetTimeouts(page, answer time.Duration) {
	c.timeouts.page, c.timeouts.answer, c.timeouts.initial = page, answer, answer
}

// SetWatchTimeout shortens the watches that are asked for: two seconds at least,
// or the server is asked for none.
func (c *Client) SetWatchTimeout(d time.Duration) { c.timeouts.watch = d }

// SetSilence shortens how long a test waits for a watch that fell silent.
func (c *Client) SetSilence(d time.Duration) {
	c.timeouts.initial, c.timeouts.silence = d, d
}

// SetRefresh shortens how long credentials are trusted before they are read again.
func (c *Client) SetRefresh(d time.Duration) { c.timeouts.refresh = d }

// SetPings shortens how long a test waits for a connection that is dead.
func (c *Client) SetPings(every, timeout time.Duration) {
	c.credentials.transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: every, PingTimeout: timeout}
}

// SetDial makes connections in a test's own way.
func (c *Client) SetDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	c.credentials.transport.DialContext = dial
}

// Listing is what a test sees of a list.
type Listing struct {
	Version, Next string
	Objects       []any
	Unread        map[Key]error
}

// DecodePage reads a page of "services" or "endpointslices".
func DecodePage(plural, contentType string, body []byte) (Listing, error) {
	l := newListing()
	next, err := newPageDecoder(answer(contentType), resourceOf(plural), l).decode(bytes.NewReader(body))
	out := Listing{Version: l.version, Next: next, Unread: l.unread}
	for _, o := range l.objects {
		out.Objects = append(out.Objects, o)
	}
	return out, err
}

// Event is what a test sees of an event of a watch.
type Event struct {
	Kind    string
	Object  any
	Version string // of a bookmark
	Listed  bool
	Status  string
}

// DecodeWatch reads a watch on "services" or "endpointslices" to its end.
func DecodeWatch(plural, contentType string, body []byte) ([]Event, error) {
	events := newEventReader(answer(contentType, body...), resourceOf(plural), make(interner))
	var all []Event
	for {
		e, err := events.next()
		switch {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return all, err
		}
		out := Event{Kind: e.kind, Object: e.object, Version: e.mark.version, Listed: e.mark.listed}
		if e.status != nil {
			out.Status = e.status.Error()
		}
		all = append(all, out)
	}
}

// StatusText returns what a Status comes to in an error.
func StatusText(code int, contentType string, body []byte) string {
	resp := answer(contentType, body...)
	resp.StatusCode = code
	return answerMessage(resp)
}

func answer(contentType string, body ...byte) *http.Response {
	return &http.Response{
		Header: http.Header{"Content-Type": {contentType}},
		Body:   io.NopCloser(bytes.NewReader(body)),
	}
}

func resourceOf(plural string) resource {
	for _, r := range []resource{services, endpointSlices} {
		if r.String() == plural {
			return r
		}
	}
	panic("no resource " + plural)
}
