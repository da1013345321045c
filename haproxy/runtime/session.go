// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// ErrMoved is that another process has begun to serve while a Plan was carried
// out. What it serves has to be observed before anything more is done.
var ErrMoved = errors.New("another HAProxy process answers")

// Stay returns a ctx with which all methods ask one process and change that one,
// until leave is called, which the caller must do. Around a reload, by whomever,
// two processes take connections on the admin socket: what one of them shows says
// nothing of the other. Only the payload of maps does not go there; Apply
// looks who answers behind it.
//
// Where the admin socket does not answer, ctx is returned as it is: the master
// CLI leads every command to the latest process.
func (c *Client) Stay(ctx context.Context) (staying context.Context, leave func()) {
	if c.worker.isDead(ctx) {
		return ctx, func() {}
	}
	s := &session{socket: c.worker.admin}
	if err := s.open(ctx); err != nil {
		c.worker.doubt(ctx, err)
		return ctx, func() {}
	}
	return context.WithValue(ctx, sessionKey{}, s), func() { _ = s.conn.Close() }
}

type sessionKey struct{}

func sessionOf(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

// anyProcess takes back what Stay did.
func anyProcess(ctx context.Context) context.Context {
	return context.WithValue(ctx, sessionKey{}, (*session)(nil))
}

// moved returns ErrMoved if the process that ctx stays with is no longer the one
// that answers, and nil where ctx stays with none.
func (c *Client) moved(ctx context.Context) error {
	if sessionOf(ctx) == nil {
		return nil
	}
	ours, err := c.process(ctx)
	if err != nil {
		return err
	}
	latest, err := c.process(anyProcess(ctx))
	if err == nil && latest.Pid != ours.Pid {
		err = ErrMoved
	}
	return err
}

// session is one connection to the admin socket, which HAProxy keeps in its
// interactive mode (management.txt "prompt"). It may not be used concurrently.
type session struct {
	socket socket
	conn   net.Conn
	err    error  // why it is of no use any more
	reply  []byte // where the last answer stands
}

// prompt is what HAProxy ends an answer with, and in some versions each of its
// parts.
const prompt = "\n> "

func (s *session) open(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, doubtTimeout)
	defer cancel()
	if s.conn, err = s.socket.dial(ctx); err != nil {
		return err
	}
	_, err = s.ask(ctx, "prompt\n", func(reply []byte) bool { return bytes.HasSuffix(reply, []byte(prompt)) })
	if err != nil {
		_ = s.conn.Close()
	}
	return err
}

// exchange is that of socket. It may not be called again after an error.
func (s *session) exchange(ctx context.Context, commands []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.socket.timeout)
	defer cancel()
	var text strings.Builder
	text.WriteString(separator)
	for _, command := range commands {
		text.WriteString(";" + command + ";" + separator)
	}
	if text.Len() > maxLine {
		return nil, fmt.Errorf("a line of %d bytes is longer than HAProxy reads", text.Len())
	}
	var replies []string
	_, err := s.ask(ctx, text.String()+"\n", func(reply []byte) bool {
		if !bytes.HasSuffix(reply, []byte(prompt)) {
			return false
		}
		replies = split(strings.ReplaceAll(string(reply), prompt, "\n"))
		return len(replies) == len(commands)
	})
	if err != nil {
		s.err = err
		return nil, err
	}
	return replies, nil
}

// ask sends the text and reads until all of the answer is there, which is good
// until the next one.
func (s *session) ask(ctx context.Context, text string, all func([]byte) bool) ([]byte, error) {
	if err := s.conn.SetDeadline(time.Time{}); err != nil {
		return nil, s.socket.explain(ctx, err)
	}
	defer context.AfterFunc(ctx, func() { s.conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(s.conn, text); err != nil {
		return nil, s.socket.explain(ctx, err)
	}
	reply := s.reply[:0]
	defer func() { s.reply = reply }()
	for !all(reply) {
		reply = slices.Grow(reply, 4<<10)
		n, err := s.conn.Read(reply[len(reply):cap(reply)])
		reply = reply[:len(reply)+n]
		switch {
		case err == io.EOF:
			return nil, fmt.Errorf("%s: %w", s.socket.path, errCut)
		case err != nil:
			return nil, s.socket.explain(ctx, err)
		}
	}
	return reply, nil
}
