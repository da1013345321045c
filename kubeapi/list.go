// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// pageLimit is how many objects one answer holds at most, as kubectl asks.
	pageLimit = 500
	// pageRetries is how often a page is asked for again before the whole list
	// is given up.
	pageRetries = 2
)

// listing is one complete list of a source.
type listing struct {
	version string
	objects []object
	unread  map[Key]error // objects that are there and cannot be decoded
}

// newListClient returns a client that asks again for what failed on the way or
// by the server's fault, at the time that Retry-After names but no later than
// longest.
func newListClient(client *http.Client, longest time.Duration) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient:   client,
		RetryWaitMin: min(100*time.Millisecond, longest),
		RetryWaitMax: min(time.Second, longest),
		RetryMax:     pageRetries,
		CheckRetry:   retryablehttp.DefaultRetryPolicy,
		Backoff: func(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
			return min(retryablehttp.DefaultBackoff(least, most, attempt, resp), longest)
		},
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

// list returns one complete list of src. Its pages show the state at the first
// one's version; when that is gone before the last page was fetched, the list
// is asked for once more in one piece (Kubernetes API concepts, "Retrieving
// large results sets in chunks").
func (c *Client) list(ctx context.Context, src source) (*listing, error) {
	l, err := c.listPages(ctx, src, pageLimit)
	if statusCode(err) == http.StatusGone {
		l, err = c.listPages(ctx, src, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", src, err)
	}
	return l, nil
}

// listPages returns the list in pages of limit objects, or in one without limit
// when that is zero.
func (c *Client) listPages(ctx context.Context, src source, limit int) (*listing, error) {
	l := &listing{}
	d := pageDecoder{resource: src.resource, strings: make(interner), into: l}
	query := c.query(src)
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	for {
		next, err := c.page(ctx, src.resource.url(c.server, src.namespace, query), src.resource, &d)
		if err != nil {
			return nil, err
		}
		if next == "" {
			return l, nil
		}
		query.Set("continue", next)
	}
}

// page adds the page at url to what d decodes into and returns the token of the
// next page, "" after the last.
func (c *Client) page(ctx context.Context, url string, r resource, d *pageDecoder) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeouts.page, errNoAnswer)
	defer cancel()
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.lists.Do(req)
	if err != nil {
		return "", c.requestError(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", c.answerError(resp, "list", r)
	}
	next, err := d.decode(resp.Body)
	if err != nil {
		return "", c.requestError(ctx, err)
	}
	return next, nil
}

// pageDecoder decodes pages of a list, one item at a time: a list of 30 MB never
// stands in memory as a whole.
type pageDecoder struct {
	resource resource
	strings  interner
	into     *listing
}

// decode reads one page and returns the token of the next.
func (d *pageDecoder) decode(body io.Reader) (string, error) {
	dec := json.NewDecoder(body)
	if err := expect(dec, '{'); err != nil {
		return "", err
	}
	var meta struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return "", readError(err)
		}
		switch name {
		case "metadata":
			err = dec.Decode(&meta)
		case "items":
			err = d.items(dec)
		default:
			err = dec.Decode(&json.RawMessage{})
		}
		if err != nil {
			return "", readError(err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return "", readError(err)
	}
	if meta.ResourceVersion == "" {
		return "", errors.New("read answer: not a Kubernetes list, it has no resourceVersion")
	}
	d.into.version = meta.ResourceVersion
	return meta.Continue, nil
}

// items reads the array of objects, or null.
func (d *pageDecoder) items(dec *json.Decoder) error {
	switch open, err := dec.Token(); {
	case err != nil || open == nil:
		return err
	case open != json.Delim('['):
		return fmt.Errorf("items is %v, not a list", open)
	}
	for dec.More() {
		o, key, err := d.resource.decode(dec.Decode, d.strings)
		switch {
		case err == nil:
			d.into.objects = append(d.into.objects, o)
		case isTypeError(err) && key.Name != "":
			d.into.skip(key, err)
		default:
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// skip notes that the object named key cannot be decoded.
func (l *listing) skip(key Key, err error) {
	if l.unread == nil {
		l.unread = make(map[Key]error)
	}
	l.unread[key] = err
}

func expect(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if err != nil {
		return readError(err)
	}
	if got != want {
		return fmt.Errorf("read answer: it begins with %v, not with %v", got, want)
	}
	return nil
}

func readError(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read answer: %w", err)
}
