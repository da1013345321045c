// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"sync"
)

// Credentials are how to reach an API server and how to authenticate, at present.
// They are an http.RoundTripper, which repeats a request that was answered with 401
// if there is a new credential. They may be used concurrently.
type Credentials struct {
	cfg Config
	log *slog.Logger

	mu        sync.Mutex
	access    access // as read last
	token     *token // nil without
	plugin    *execPlugin
	shown     execStatus // output of the plugin whose certificate transport presents
	transport *http.Transport
	failed    string // why the last reading failed, as logged; "" if it succeeded

	counting sync.Mutex // guards answers and reached: mu may be held while a plugin runs
	answers  map[int]int
	reached  []netip.Addr // in the order of the first connection
}

// session is the credential of one request.
type session struct {
	transport *http.Transport
	token     string // "" without
}

// New reads the kubeconfig, or the files that cfg names. It does not use the
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

// adopt replaces everything by a, or nothing on an error. The caller holds c.mu or is
// New.
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

// swap replaces the connection pool; requests on old connections continue.
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

// Files returns the paths of the files that were read. A kubeconfig that changes may
// name others.
func (c *Credentials) Files() []string { return slices.Clone(c.current().files) }

// Name names the credential, for errors, such as "the token in /etc/podgate/token"; it
// is "" without one.
func (c *Credentials) Name() string { return c.current().credential() }

// Explain returns err, of a request to server, with what an operator can do about it;
// nil if it is not about names or certificates.
func (c *Credentials) Explain(err error, server string) error {
	return connectError(err, server, c.current())
}

// Answers returns the number of requests by the HTTP status code of the answer; 0 is
// no answer.
func (c *Credentials) Answers() map[int]int {
	c.counting.Lock()
	defer c.counting.Unlock()
	return maps.Clone(c.answers)
}

// maxReached is the maximum number of addresses of servers that are remembered.
const maxReached = 64

// Reached returns the addresses that requests were sent to: of servers, or of proxies.
func (c *Credentials) Reached() []netip.Addr {
	c.counting.Lock()
	defer c.counting.Unlock()
	return slices.Clone(c.reached)
}

// traced returns the request with a trace that notes the address of its connection.
func (c *Credentials) traced(req *http.Request) *http.Request {
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			p, err := netip.ParseAddrPort(i.Conn.RemoteAddr().String())
			if err != nil {
				return
			}
			c.counting.Lock()
			defer c.counting.Unlock()
			if a := p.Addr().Unmap(); len(c.reached) < maxReached && !slices.Contains(c.reached, a) {
				c.reached = append(c.reached, a)
			}
		},
	}))
}

// Transport returns the present connection pool. A test may change it before the
// first request.
func (c *Credentials) Transport() *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.transport
}

// current returns the access that was read last.
func (c *Credentials) current() access {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.access
}

// session returns the credential of the next request.
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

// showCertificate makes a new connection pool if the plugin has a new client
// certificate: a connection keeps the one that it was made with.
func (c *Credentials) showCertificate() error {
	have := c.plugin.have
	if have.Cert == c.shown.Cert && have.Key == c.shown.Key {
		return nil
	}
	a := c.access
	a.cert, a.key, a.certOrigin = []byte(have.Cert), []byte(have.Key), "the output of the credential plugin"
	transport, err := a.transport()
	if err != nil {
		return &credentialError{err}
	}
	c.swap(transport)
	c.shown = have
	return nil
}

// after401 returns the credential to try after a 401, and whether it differs from the
// one that was rejected.
func (c *Credentials) after401(ctx context.Context, rejected session) (session, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport == rejected.transport {
		c.reread()
	}
	if c.token != nil {
		c.token.after401(rejected.token)
	}
	if c.plugin != nil && c.plugin.have.Token == rejected.token {
		c.plugin.stale = true
	}
	s, err := c.sessionLocked(ctx)
	return s, err == nil && s != rejected
}

// Refresh re-reads all files. If one cannot be read, that is logged and everything stays
// as it was.
func (c *Credentials) Refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reread()
	if c.token != nil && c.token.file != "" {
		c.token.after401(c.token.value)
	}
}

// reread re-reads the files and adopts what changed. On an error, which is logged
// once, everything stays as it was: a certificate may be written before its key. The
// caller holds c.mu.
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
	req = c.traced(req)
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

// send sends a copy of req: an http.RoundTripper may not change it.
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
