// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"strings"
	"time"
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
type Session struct {
	exchanger
	idle   *idle
	reused bool // the connection is that of an earlier Session
}

// Session opens a Session with the process that answers now. The caller must
// Close it, and call Process first: the Session may continue the connection of an
// earlier one, whose process stops.
func (c *Client) Session(ctx context.Context) *Session {
	s := &Session{exchanger: c.exchanger, idle: &c.idle}
	if s.pinned = c.idle.take(); s.pinned != nil {
		s.known, s.reused = &s.pinned.known, true
		return s
	}
	s.open(ctx)
	return s
}

func (s *Session) open(ctx context.Context) {
	s.pinned, s.known, s.reused = nil, &limits{}, false
	if s.worker.isDead(ctx) {
		return
	}
	opened := time.Now()
	conn, err := s.worker.admin.openInteractive(ctx)
	if err != nil {
		s.worker.fallBack(ctx, err)
		return
	}
	s.pinned = &pinned{connection: conn, opened: opened}
	s.known = &s.pinned.known
}

// Process returns the process of the Session. If its connection is that of an earlier
// Session, and has ended or leads to a process that stops, Process opens another one.
func (s *Session) Process(ctx context.Context) (Process, error) {
	if !s.reused {
		return s.exchanger.Process(ctx)
	}
	s.reused = false
	replies, err := s.exchange(ctx, "show info")
	if err == nil && !stops(replies[0]) {
		if p, err := parseInfo(replies[0]); err == nil {
			return p, nil
		}
	}
	_ = s.pinned.Close()
	s.open(ctx)
	return s.exchanger.Process(ctx)
}

// stops reports whether a process stops, by its reply to "show info".
func stops(info string) bool { return strings.Contains(info, "\nStopping: 1") }

// Close closes the connection of the Session, or leaves it to the next one.
func (s *Session) Close() {
	if s.pinned != nil && !s.idle.keep(s.pinned) {
		_ = s.pinned.Close()
	}
	s.pinned = nil
}

// pinned is the connection of a Session.
type pinned struct {
	*connection
	opened time.Time
	known  limits // of its process; zero until they are needed
	err    error  // of the last exchange; the connection is unusable after an error
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
