// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Client is a client of podgate's control socket. It may be used concurrently.
type Client struct{ socket string }

// NewClient returns a Client of a control socket.
func NewClient(socket string) *Client { return &Client{socket: socket} }

// Status returns the status with at most so many Services; all if negative.
func (c *Client) Status(ctx context.Context, services int) (Status, error) {
	query := url.Values{}
	if services >= 0 {
		query.Set("services", strconv.Itoa(services))
	}
	var s Status
	return s, c.ask(ctx, "/api/v1/status?"+query.Encode(), &s)
}

// History returns the last changes.
func (c *Client) History(ctx context.Context) (History, error) {
	var h History
	return h, c.ask(ctx, "/api/v1/history", &h)
}

// Explain explains a Service, a URL or an address.
func (c *Client) Explain(ctx context.Context, q Query) (Explanation, error) {
	var x Explanation
	return x, c.ask(ctx, "/api/v1/explain?"+q.values().Encode(), &x)
}

// NoAnswerError reports that the control socket cannot be reached, or that the answer
// cannot be read.
type NoAnswerError struct{ err error }

func (e *NoAnswerError) Error() string { return "ask podgate: " + e.err.Error() }

func (e *NoAnswerError) Unwrap() error { return e.err }

func (c *Client) ask(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://podgate"+path, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", c.socket)
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return &NoAnswerError{c.explain(err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return answerError(resp)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return &NoAnswerError{fmt.Errorf("%s: %w", c.socket, err)}
	}
	return nil
}

// explain adds the likely cause.
func (c *Client) explain(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w (are you root, or in the group of podgate's process?)", err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w (is podgate running? systemctl status podgate)", err)
	}
	return err
}

func answerError(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &answer) == nil && answer.Error != "" {
		return errors.New(answer.Error)
	}
	return fmt.Errorf("podgate answered %s", resp.Status)
}
