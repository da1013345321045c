// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"podgate/kubeapi/wire"
)

const (
	// pageLimit is how many objects one answer holds at most, as kubectl asks.
	pageLimit = 500
	// pageSize is what a page counts in the Budget, in addition to its objects.
	pageSize = 4 << 10
	// pageRetries is how often the request for a page is repeated before the whole
	// list is given up.
	pageRetries = 2
)

// newListClient returns a client that repeats requests that failed in the network
// or in the server, retries times, after Retry-After unless that is longer than
// longest.
func newListClient(client *http.Client, longest time.Duration, retries int) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient:   client,
		RetryWaitMin: min(100*time.Millisecond, longest),
		RetryWaitMax: min(time.Second, longest),
		RetryMax:     retries,
		CheckRetry:   mayRetry(longest),
		Backoff: func(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
			own := retryablehttp.DefaultBackoff(least, most, attempt, nil)
			return stretch(max(own, readRetryAfter(resp)))
		},
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

// mayRetry decides which requests the client repeats itself. It does not repeat requests
// to a server that cannot be reached or does not answer, because another server may be
// next, or requests whose Retry-After is longer than longest, because the reflector waits
// for that.
func mayRetry(longest time.Duration) retryablehttp.CheckRetry {
	return func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
			return false, nil
		}
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			return false, nil
		}
		if readRetryAfter(resp) > longest {
			return false, nil
		}
		return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
	}
}

// list returns one complete list of src. All pages have the version of the first
// one; if that expires before the last page is fetched, the list is requested again
// in one piece (Kubernetes API concepts, "Retrieving large results sets in
// chunks"). Each of several servers is tried once.
func (c *Client) list(ctx context.Context, client *retryablehttp.Client, src source) (*wire.List, error) {
	var failures serversError
	for range c.servers.count() {
		server := c.servers.current()
		l, err := c.listPages(ctx, client, server, src, pageLimit)
		if statusCode(err) == http.StatusGone {
			l, err = c.listPages(ctx, client, server, src, 0)
		}
		if err == nil {
			c.servers.succeeded(server)
			return l, nil
		}
		failures.add(server, err)
		if ctx.Err() != nil || !mayBeOneServer(src, err) {
			break
		}
		c.servers.failed(server, err)
	}
	return nil, fmt.Errorf("list %s: %w", src, &failures)
}

// mayBeOneServer reports whether another server of the cluster may answer better.
func mayBeOneServer(src source, err error) bool {
	kind := classify(src, err).kind
	return kind == Unreachable || kind == TooLarge
}

// listPages returns the list in pages of limit objects, or in one without limit
// when that is zero.
func (c *Client) listPages(ctx context.Context, client *retryablehttp.Client, server *url.URL, src source, limit int) (*wire.List, error) {
	l := wire.NewList()
	l.Share = c.budget.Share()
	query := c.query(src)
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	for {
		next, err := c.page(ctx, client, src, src.url(server, query), l)
		if err != nil {
			l.Share.Release()
			return nil, err
		}
		c.tracker.countObjects(src, len(l.Objects))
		if next == "" {
			return l, nil
		}
		if err := l.Share.Grow(pageSize); err != nil { // or pages without objects could follow for ever
			l.Share.Release()
			return nil, err
		}
		query.Set("continue", next)
	}
}

// page adds the page at url to l and returns the token of the next page, "" after
// the last.
func (c *Client) page(ctx context.Context, client *retryablehttp.Client, src source, url string, l *wire.List) (string, error) {
	ctx, cancel := answerWithin(ctx, c.timeouts.page)
	defer cancel()
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", wire.Accept)
	resp, err := client.Do(req)
	if err != nil {
		return "", c.requestError(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", c.answerError(resp, "list", src)
	}
	body := wire.NewMeter(resp.Body, l.Share)
	defer body.Close()
	next, err := wire.ReadPage(resp.Header.Get("Content-Type"), body, src.resource, l)
	if err != nil {
		return "", c.requestError(ctx, err)
	}
	return next, nil
}
