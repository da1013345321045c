// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
)

// credentials are how the API server is reached and as whom, at present: they
// are read again when a file changed and after a 401. They may be used
// concurrently.
type credentials struct {
	load func() (access, error)
	log  *slog.Logger

	mu        sync.Mutex
	access    access // as it was read last
	token     *token // nil without
	plugin    *execPlugin
	shown     execStatus // what of the plugin is in transport
	transport *http.Transport
	failed    string // why the last reading failed, which was told; "" when it did not
}

// session is what one request is sent with.
type session struct {
	transport *http.Transport
	token     string // "" without
}

func newCredentials(load func() (access, error), log *slog.Logger) (*credentials, error) {
	c := &credentials{load: load, log: log}
	a, err := load()
	if err != nil {
		return nil, err
	}
	return c, c.adopt(a)
}

// adopt replaces everything by a, or nothing on an error. The caller holds c.mu,
// or is the only one to know c.
func (c *credentials) adopt(a access) error {
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
func (c *credentials) swap(transport *http.Transport) {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	c.transport = transport
}

// current returns a copy of what was read last.
func (c *credentials) current() access {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.access
}

// session returns what the next request is sent with.
func (c *credentials) session(ctx context.Context) (session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessionLocked(ctx)
}

func (c *credentials) sessionLocked(ctx context.Context) (session, error) {
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
func (c *credentials) showCertificate() error {
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
func (c *credentials) after401(ctx context.Context, refused session) (session, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport == refused.transport {
		c.reload()
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

// refresh reads everything again.
func (c *credentials) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reload()
	if c.token != nil && c.token.file != "" {
		c.token.after401(c.token.value)
	}
}

// reload reads the files again and adopts what changed; on an error everything
// stays as it is, which is told once: a certificate may stand there before its
// key. The caller holds c.mu.
func (c *credentials) reload() {
	a, err := c.load()
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

// authTransport adds what every request carries. A request that met a 401 is
// sent once more when there is another credential by then.
type authTransport struct {
	credentials *credentials
	userAgent   string
	board       *statusBoard // which counts the answers
}

func (t *authTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	s, err := t.credentials.session(req.Context())
	if err != nil {
		return nil, err
	}
	resp, err := t.send(req, s)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	if newer, ok := t.credentials.after401(req.Context(), s); ok {
		resp.Body.Close()
		return t.send(req, newer)
	}
	return resp, nil
}

// send sends a copy of req, as http.RoundTripper demands.
func (t *authTransport) send(req *http.Request, s session) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", t.userAgent)
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := s.transport.RoundTrip(req)
	t.board.answered(resp, err)
	return resp, err
}
