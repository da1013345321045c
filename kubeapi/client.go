// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"log/slog"
	"net/http"
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
	http        *http.Client          // watches
	lists       *retryablehttp.Client // lists, over http
	probes      *retryablehttp.Client // lists of a server that is down: each is asked for once

	timeouts timeouts
	tracker  *tracker
	relist   chan struct{} // asks Follow for another list; of capacity 1
}

// timeouts bound what a server may keep a Client waiting for.
type timeouts struct {
	page    time.Duration // one page of a list with its retries
	answer  time.Duration // the head of a watch's answer
	initial time.Duration // the next event of a streamed list
	silence time.Duration // the next event or bookmark of a watch
	watch   time.Duration // a whole watch, less up to half of it by chance
	refresh time.Duration // how long credentials are trusted before they are read again
}

// defaultTimeouts leaves the API server time to give up by itself, which it does
// after a minute (kube-apiserver --request-timeout). A streamed list does not
// pause; servers before 1.27 that do not know it fall silent instead. A watch
// sees a bookmark every minute.
func defaultTimeouts() timeouts {
	return timeouts{
		page:    75 * time.Second,
		answer:  30 * time.Second,
		initial: 10 * time.Second,
		silence: 4 * time.Minute,
		watch:   10 * time.Minute,
		refresh: time.Minute,
	}
}

// New reads the kubeconfig, or the files that cfg names, and returns a Client
// for the API server they choose. It does not touch the network. Errors name
// the file.
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
	c.http = &http.Client{
		Transport: credentials,
		// A redirect would carry the token to whoever it names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.servers.use(credentials.Servers())
	c.tracker = newTracker(log, c.Server)
	c.lists = newListClient(c.http, cfg.PollInterval, pageRetries)
	c.probes = newListClient(c.http, cfg.PollInterval, 0)
	return c, nil
}

// Refresh reads the kubeconfig, tokens and certificates again. What cannot be
// read, which is logged, stays as it was. Follow does so every minute, and a 401
// has them read too; whoever watches CredentialFiles calls it when one changes.
func (c *Client) Refresh() {
	c.credentials.Refresh()
	c.servers.use(c.credentials.Servers())
}

// CredentialFiles returns the paths of the kubeconfig and of all files that it, or
// the Config, names at present; none where a Config names none. A kubeconfig that
// changes may name others.
func (c *Client) CredentialFiles() []string { return c.credentials.Files() }

// Server returns the URL of the API server that is asked at present, for logs.
func (c *Client) Server() string { return c.servers.current().String() }

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
		s.replace(src, l)
	}
	return s.snapshot(1), nil
}

// sources returns what makes a Snapshot complete.
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
