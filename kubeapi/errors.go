// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"podgate/kubeapi/wire"
)

// statusError is an answer of the API server that is not a success.
type statusError struct {
	code       int
	message    string        // of the server; may be ""
	hint       string        // what to look at; may be ""
	retryAfter time.Duration // Retry-After; zero when absent
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%d %s", e.code, http.StatusText(e.code))
	if e.message != "" {
		text += ": " + e.message
	}
	if e.hint != "" {
		text += " (" + e.hint + ")"
	}
	return text
}

// statusCode returns the code of a statusError in err's chain, or zero.
func statusCode(err error) int {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.code
	}
	return 0
}

// mostRetryAfter bounds Retry-After.
const mostRetryAfter = time.Minute

// retryAfter returns the Retry-After of a statusError in err's chain, or zero.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.retryAfter
	}
	return 0
}

// readRetryAfter returns the Retry-After of resp, or zero where resp or the header
// is missing. The API server sends seconds. A proxy in front of it may send a date
// (RFC 9110 section 10.2.3) by its own clock, which the Date header shows.
func readRetryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return min(max(time.Duration(seconds)*time.Second, 0), mostRetryAfter)
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(until.Sub(now), 0), mostRetryAfter)
}

// answerError returns the error of resp, an answer to verb on src that is not a
// success. It does not close the body.
func (c *Client) answerError(resp *http.Response, verb string, src source) error {
	e := &statusError{code: resp.StatusCode, message: wire.ReadMessage(resp.Header.Get("Content-Type"), resp.Body), retryAfter: readRetryAfter(resp)}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		e.message = "" // it is "Unauthorized", like the status
		e.hint = "no credentials are configured"
		if credential := c.credentials.Name(); credential != "" {
			e.hint = fmt.Sprintf("is %s valid?", credential)
		}
	case http.StatusForbidden:
		e.hint = fmt.Sprintf("its role needs the rule %s", src.rule(verb))
	case http.StatusNotFound:
		e.hint = fmt.Sprintf("is %s a Kubernetes API server, 1.21 or newer?", origin(resp.Request.URL))
	}
	return e
}

// origin returns the server of u.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// noAnswerError is the cause of a context that ended because the server took too
// long.
type noAnswerError struct{ within time.Duration }

func (e noAnswerError) Error() string { return fmt.Sprintf("no answer within %v", e.within) }

// answerWithin is context.WithTimeout, with a noAnswerError as its cause.
func answerWithin(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, noAnswerError{d})
}

// stalledError ends an open watch that has sent nothing, not even the bookmark that
// is sent every minute.
type stalledError struct{ after time.Duration }

func (e stalledError) Error() string { return fmt.Sprintf("no event or bookmark for %v", e.after) }

// is reports whether err's chain has an error of type E.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// requestError returns the error of a request with ctx, without the URL that
// net/http puts before it, and with what an operator can do about it.
func (c *Client) requestError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); is[noAnswerError](cause) {
		return cause
	}
	server := c.Server()
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
		if u, err := url.Parse(e.URL); err == nil {
			server = origin(u) // c.Server may be another one by now
		}
	}
	if explained := c.credentials.Explain(err, server); explained != nil {
		return explained
	}
	return err
}
