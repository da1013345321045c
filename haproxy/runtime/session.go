// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
)

// ErrProcessChanged is returned by Apply of a Session if another process serves by
// now. The caller should open another Session and observe that process.
var ErrProcessChanged = errors.New("another HAProxy process answers")

// Session queries and changes one worker process. During a reload two processes accept
// connections on the admin socket, and their servers and maps may differ. Certificates
// and maps are sent with a payload, which needs a new connection, so Apply checks that
// the same process serves before and after. A Session may not be used concurrently.
// After an error of the socket every call returns that error.
//
// If the admin socket does not answer, a Session is not bound to a process: the master
// CLI sends every command to the latest worker.
type Session struct{ exchanger }

// Session opens a Session with the process that answers now. The caller must
// Close it.
func (c *Client) Session(ctx context.Context) *Session {
	s := &Session{c.exchanger}
	s.known = &limits{}
	if c.worker.isDead(ctx) {
		return s
	}
	conn, err := c.worker.admin.openInteractive(ctx)
	if err != nil {
		c.worker.fallBack(ctx, err)
		return s
	}
	s.pinned = &pinned{connection: conn}
	return s
}

// Close closes the connection of the Session.
func (s *Session) Close() {
	if s.pinned != nil {
		_ = s.pinned.Close()
	}
}

// pinned is the connection of a Session.
type pinned struct {
	*connection
	err error // of the last exchange; the connection is unusable after an error
}

// openInteractive opens a connection in interactive mode, in which HAProxy keeps it
// open after a line of commands (management.txt "prompt").
func (s socket) openInteractive(ctx context.Context) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, fallBackTimeout)
	defer cancel()
	conn, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	conn.interactive = true
	done, err := conn.send(ctx, "prompt\n")
	if err == nil {
		defer done()
		err = conn.awaitPrompt(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// exchange is an asker.
func (p *pinned) exchange(ctx context.Context, commands []string, each func(command int, line []byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.socket.timeout)
	defer cancel()
	p.err = p.ask(ctx, commandLine("", commands)+"\n", len(commands), each)
	return p.err
}

// unchanged returns ErrProcessChanged if a new connection reaches another process than
// that of the Session. For a Client it returns nil.
func (x exchanger) unchanged(ctx context.Context) error {
	if x.pinned == nil {
		return nil
	}
	pinned, err := x.process(ctx)
	if err != nil {
		return err
	}
	latest, err := x.unpinned().process(ctx)
	if err == nil && latest.Pid != pinned.Pid {
		err = ErrProcessChanged
	}
	return err
}
