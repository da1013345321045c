// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"sync"
)

// Credentials are how an API server is reached and as whom at present. As an
// http.RoundTripper they add what every request carries, and send a request that
// met a 401 once more when there is another credential by then. They may be used
// concurrently.
type Credentials struct {
	cfg Config
	log *slog.Logger

	mu        sync.Mutex
	access    access // as it was read last
	token     *token // nil without
	plugin    *execPlugin
	shown     execStatus // what of the plugin is in transport
	transport *http.Transport
	failed    string // why the last reading failed, as logged; "" when it did not

	counting sync.Mutex // guards answers: mu may be held while a plugin runs
	answers  map[int]int
}

// session is what one request is sent with.
type session struct {
	transport *http.Transport
	token     string // "" without
}

// New reads the kubeconfig, or the files that cfg names. It does not touch the
// network. Errors name the file.
func New(cfg Config, log *slog.Logger) (*Credentials, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	a, err := cfg.read()
	if err != nil {
		return nil, err
	}
	c := &Credentials{cfg: cfg, log: log, answers: make(map[int]int)}
	if err := c.adopt(a); err != nil {
		return nil, err
	}
	server := c.Servers()[0]
	if a.insecure {
		log.Warn("API server certificate is not verified", "server", server.String(), "file", cfg.Kubeconfig)
	}
	if server.Scheme == "http" && (a.token != "" || a.tokenFile != "" || a.exec != nil) {
		log.Warn("token is sent without TLS", "server", server.String())
	}
	return c, nil
}

// adopt replaces everything by a, or nothing on an error. The caller holds c.mu,
// or is the only one to know c.
func (c *Credentials) adopt(a access) error {
	if _, err := a.urls(); err != nil {
		return err
	}
	transport, err := a.transport()
	if err != nil {
		return err
	}
	token, err := newToken(a, c.log)
	if err != nil {
		return err
	}
	c.swap(transport)
	c.access, c.token, c.plugin, c.shown = a, token, nil, execStatus{}
	if a.exec != nil {
		c.plugin = &execPlugin{config: *a.exec}
	}
	return nil
}

// swap replaces the connections; what runs over the old ones goes on.
func (c *Credentials) swap(transport *http.Transport) {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	c.transport = transport
}

// Servers returns the URLs of the servers of one cluster, one or more.
func (c *Credentials) Servers() []*url.URL {
	urls, err := c.current().urls()
	if err != nil {
		panic(err) // adopt checked it
	}
	return urls
}

// Files returns the paths of the files that all of this is read from, at present: a
// kubeconfig that changes may name others.
func (c *Credentials) Files() []string { return slices.Clone(c.current().files) }

// Name names what the server is shown, for errors; "" is nothing.
func (c *Credentials) Name() string { return c.current().credential() }

// Explain returns what err, of a request to server, means to whoever configured the
// connection; nil when it has nothing to do with names or certificates.
func (c *Credentials) Explain(err error, server string) error {
	return connectError(err, server, c.current())
}

// Answers returns how many requests were answered with each code, 0 for those
// without an answer.
func (c *Credentials) Answers() map[int]int {
	c.counting.Lock()
	defer c.counting.Unlock()
	return maps.Clone(c.answers)
}

// Transport returns the connections that requests use at present. A test may
// change how it dials before the first one.
func (c *Credentials) Transport() *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.transport
}

// current returns a copy of what was read last.
func (c *Credentials) current() access {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.access
}

// session returns what the next request is sent with.
func (c *Credentials) session(ctx context.Context) (session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessionLocked(ctx)
}

func (c *Credentials) sessionLocked(ctx context.Context) (session, error) {
	switch {
	case c.plugin != nil:
		if err := c.plugin.refresh(ctx); err != nil {
			return session{}, err
		}
		if err := c.showCertificate(); err != nil {
			return session{}, err
		}
		return session{c.transport, c.plugin.have.Token}, nil
	case c.token != nil:
		return session{c.transport, c.token.current()}, nil
	}
	return session{c.transport, ""}, nil
}

// showCertificate makes new connections when the plugin has another client
// certificate: one that is in use keeps the old one.
func (c *Credentials) showCertificate() error {
	have := c.plugin.have
	if have.Cert == c.shown.Cert && have.Key == c.shown.Key {
		return nil
	}
	a := c.access
	a.cert, a.key, a.certOrigin = []byte(have.Cert), []byte(have.Key), "the credential plugin's answer"
	transport, err := a.transport()
	if err != nil {
		return &credentialError{err}
	}
	c.swap(transport)
	c.shown = have
	return nil
}

// after401 returns what to try after the server refused a request, and whether
// that differs.
func (c *Credentials) after401(ctx context.Context, refused session) (session, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport == refused.transport {
		c.reread()
	}
	if c.token != nil {
		c.token.after401(refused.token)
	}
	if c.plugin != nil && c.plugin.have.Token == refused.token {
		c.plugin.stale = true
	}
	s, err := c.sessionLocked(ctx)
	return s, err == nil && s != refused
}

// Refresh reads everything again. What cannot be read, which is logged, stays as
// it was.
func (c *Credentials) Refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reread()
	if c.token != nil && c.token.file != "" {
		c.token.after401(c.token.value)
	}
}

// reread reads the files again and adopts what changed; on an error everything
// stays as it is, which is logged once: a certificate may be written before its
// key. The caller holds c.mu.
func (c *Credentials) reread() {
	a, err := c.cfg.read()
	if err == nil && reflect.DeepEqual(a, c.access) {
		c.failed = ""
		return
	}
	if err == nil {
		err = c.adopt(a)
	}
	switch {
	case err == nil:
		c.failed = ""
		c.log.Info("credentials changed", "server", a.server)
	case err.Error() != c.failed:
		c.failed = err.Error()
		c.log.Warn("credentials unreadable, keeping the last ones", "err", err)
	}
}

// RoundTrip implements http.RoundTripper.
func (c *Credentials) RoundTrip(req *http.Request) (*http.Response, error) {
	s, err := c.session(req.Context())
	if err != nil {
		return nil, err
	}
	resp, err := c.send(req, s)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	if newer, ok := c.after401(req.Context(), s); ok {
		resp.Body.Close()
		return c.send(req, newer)
	}
	return resp, nil
}

// send sends a copy of req, as http.RoundTripper demands.
func (c *Credentials) send(req *http.Request, s session) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := s.transport.RoundTrip(req)
	code := 0
	if err == nil && resp.StatusCode < 600 {
		code = resp.StatusCode
	}
	c.counting.Lock()
	defer c.counting.Unlock()
	c.answers[code]++
	return resp, err
}
