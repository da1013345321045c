// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"podgate/haproxy"
)

// Query is what to explain.
type Query struct {
	Of      string           // a Service, a URL, a host or an address
	Method  string           // of the request for a URL; "" means GET
	Headers []haproxy.Header // of this request, in addition to Host; a header Host replaces that of the URL
}

// NewQuery returns the Query with headers as users write them, "Name: value". The error
// is for the user.
func NewQuery(of, method string, headers []string) (Query, error) {
	q := Query{Of: strings.TrimSpace(of), Method: strings.TrimSpace(method)}
	if q.Method != "" && !isToken(q.Method) {
		return q, fmt.Errorf("method %q is not valid", method)
	}
	for _, text := range headers {
		name, value, ok := strings.Cut(text, ":")
		if !ok || !isToken(name) {
			return q, fmt.Errorf(`header %q: write it as "Name: value"`, text)
		}
		if value = strings.Trim(value, " \t"); strings.ContainsAny(value, "\x00\r\n") {
			return q, fmt.Errorf("header %s: the value contains a control character", name)
		}
		q.Headers = append(q.Headers, haproxy.Header{Name: strings.ToLower(name), Value: value})
	}
	return q, nil
}

// isToken reports whether s can be a method or the name of a header (RFC 9110 section
// 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// values returns the parameters of a request to the control socket.
func (q Query) values() url.Values {
	v := url.Values{"of": {q.Of}}
	if q.Method != "" {
		v.Set("method", q.Method)
	}
	for _, h := range q.Headers {
		v.Add("header", h.Name+": "+h.Value)
	}
	return v
}

// queryOf is the inverse of values. It skips empty headers: a form sends them.
func queryOf(v url.Values) (Query, error) {
	var headers []string
	for _, text := range v["header"] {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				headers = append(headers, line)
			}
		}
	}
	return NewQuery(v.Get("of"), v.Get("method"), headers)
}

var errNotURL = errors.New("a method and headers are for a URL")

// isRequest reports whether the Query is about one request.
func (q Query) isRequest() bool { return q.Method != "" || len(q.Headers) > 0 }
