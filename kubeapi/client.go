// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"podgate/kubeapi/auth"
	"podgate/kubeapi/wire"
)

// Client follows one API server. It may be used concurrently.
type Client struct {
	cfg         Config
	log         *slog.Logger
	servers     servers
	credentials *auth.Credentials
	http        *http.Client          // for watches
	lists       *retryablehttp.Client // for lists, over http
	singleLists *retryablehttp.Client // for lists while the server is down, without a retry

	budget   *wire.Budget // of everything that is read
	timeouts timeouts
	tracker  *tracker
	relist   chan struct{} // makes Follow list again; of capacity 1
}

// timeouts bound how long a Client waits for a server.
type timeouts struct {
	page     time.Duration // one page of a list with its retries
	answer   time.Duration // the head of a watch's answer
	initial  time.Duration // the next event of a streamed list
	event    time.Duration // the next event or bookmark of a watch
	watch    time.Duration // a whole watch, less a random part of up to half
	tooLarge time.Duration // until the next request after an answer that was too large, less up to half
	refresh  time.Duration // from one re-read of the credentials to the next
}

// defaultTimeouts leaves the API server time to give up by itself, which it does
// after a minute (kube-apiserver --request-timeout). A streamed list does not
// pause, but a server before 1.27, which does not know it, sends nothing. A watch
// receives a bookmark every minute.
func defaultTimeouts() timeouts {
	return timeouts{
		page:     75 * time.Second,
		answer:   30 * time.Second,
		initial:  10 * time.Second,
		event:    4 * time.Minute,
		watch:    10 * time.Minute,
		tooLarge: 20 * time.Second,
		refresh:  time.Minute,
	}
}

// New reads the kubeconfig, or the files that cfg names, and returns a Client
// for the API server that they name. It does not use the network. Errors name the
// file.
func New(cfg Config, log *slog.Logger) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	credentials, err := auth.New(cfg.auth(), log)
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg:         cfg,
		log:         log,
		servers:     servers{log: log},
		credentials: credentials,
		timeouts:    defaultTimeouts(),
		relist:      make(chan struct{}, 1),
	}
	c.budget = wire.NewBudget(cfg.MaxSize, len(c.sources()))
	c.http = &http.Client{
		Transport: credentials,
		// A redirect could send the token to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.servers.use(credentials.Servers())
	c.tracker = newTracker(log, c.Server)
	c.lists = newListClient(c.http, cfg.PollInterval, pageRetries)
	c.singleLists = newListClient(c.http, cfg.PollInterval, 0)
	return c, nil
}

// Refresh re-reads the kubeconfig, tokens and certificates. If one cannot be read, that is
// logged and all stay as they were. Follow calls Refresh every minute, and they are
// re-read after a 401; a watcher of CredentialFiles calls it when a file changes.
func (c *Client) Refresh() {
	c.credentials.Refresh()
	c.servers.use(c.credentials.Servers())
}

// CredentialFiles returns the paths of all files that the Config and its kubeconfig
// name at present, possibly none. A kubeconfig that changes may name others.
func (c *Client) CredentialFiles() []string { return c.credentials.Files() }

// Server returns the URL of the API server that is asked at present, for logs.
func (c *Client) Server() string { return c.servers.current().String() }

// Reached returns the addresses of API servers, or proxies, that requests were sent to,
// at most 64.
func (c *Client) Reached() []netip.Addr { return c.credentials.Reached() }

// List returns one complete list of every resource in every namespace, or the
// first error.
func (c *Client) List(ctx context.Context) (*Snapshot, error) {
	s := newStore()
	for _, src := range c.sources() {
		l, err := c.list(ctx, c.lists, src)
		if err != nil {
			return nil, err
		}
		for key, err := range l.Unread {
			c.log.Warn("object skipped", src.logKey(), key.String(), "err", err)
		}
		defer l.Share.Release() // List is called once
		s.replace(src, l)
	}
	return s.snapshot(1), nil
}

// sources returns the collections that make a Snapshot complete.
func (c *Client) sources() []source {
	var all []source
	for _, namespace := range c.cfg.Namespaces {
		if namespace == AllNamespaces {
			namespace = ""
		}
		all = append(all, source{wire.Services, namespace}, source{wire.EndpointSlices, namespace})
	}
	if c.cfg.Nodes {
		all = append(all, source{resource: wire.Nodes})
	}
	return all
}

// query returns the parameters that every request for src carries.
func (c *Client) query(src source) url.Values {
	query := make(url.Values)
	if src.resource == wire.Services && c.cfg.Selector != "" {
		query.Set("labelSelector", c.cfg.Selector)
	}
	return query
}
