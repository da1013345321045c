// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// exchangeTimeout limits one connection to the admin socket.
	exchangeTimeout = 5 * time.Second
	// masterTimeout limits one connection to the master CLI, which answers
	// "reload" only when the new worker is ready.
	masterTimeout = 30 * time.Second
	// masterPatience is how long the master CLI may refuse connections: that of 2.6 does
	// from a reload until the configuration is loaded.
	masterPatience = 10 * time.Second
)

// socket is a UNIX socket on which HAProxy accepts commands. Each exchange opens a new
// connection, because HAProxy closes it after a line of commands.
type socket struct {
	path     string
	timeout  time.Duration
	patience time.Duration // how long dial retries while the socket refuses connections
	prefix   string        // of each command on the master CLI; "" on the admin socket
	remedies remedies
}

// remedies are hints to the operator for errors of opening a socket.
type remedies struct{ denied, missing string }

// exchange is an asker that opens a connection.
func (s socket) exchange(ctx context.Context, commands []string, each func(command int, line []byte) error) error {
	return s.askReplies(ctx, commandLine(s.prefix, commands), len(commands), each)
}

// askReplies sends text, which is n commands between separators, on a new connection.
func (s socket) askReplies(ctx context.Context, text string, n int, each func(command int, line []byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if s.prefix != "" { // the master keeps the connection open
		text += ";quit"
	}
	return conn.ask(ctx, text+"\n", n, each)
}

// exchangePayload sends one command with a payload of whole lines
// (management.txt 9.3 "payload") and returns its reply.
func (s socket) exchangePayload(ctx context.Context, command, payload string) (string, error) {
	text := payloadText(s.prefix, command, payload)
	if s.prefix != "" { // the master accepts commands after a payload
		replies, err := collect(ctx, func(ctx context.Context, _ []string, each func(int, []byte) error) error {
			return s.askReplies(ctx, text+s.prefix+separator, 1, each)
		}, []string{command})
		if err != nil {
			return "", err
		}
		return replies[0], nil
	}
	reply, err := s.ask(ctx, text)
	if err != nil {
		return "", err
	}
	// No separator can follow a payload. The reply is complete if it ends in a line feed.
	_, rest, _ := strings.Cut(reply, "\n\n")
	if !strings.HasSuffix(rest, "\n") {
		return "", fmt.Errorf("%s: %w: no answer to the payload", s.path, errCut)
	}
	return strings.Trim(rest, "\n"), nil
}

func payloadText(prefix, command, payload string) string {
	return prefix + separator + ";" + prefix + command + " <<\n" + payload + "\n"
}

// ask sends the text and returns everything that HAProxy answers until it closes the
// connection. With an error it returns what it has read.
func (s socket) ask(ctx context.Context, text string) (string, error) {
	return s.askUntil(ctx, text, func([]byte) bool { return false })
}

// askUntil is ask that returns as soon as it has read enough. The master CLI of 3.0 and
// newer keeps the connection open after a command that it rejected, even if "quit"
// follows.
func (s socket) askUntil(ctx context.Context, text string, enough func([]byte) bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	done, err := conn.send(ctx, text)
	if err != nil {
		return "", err
	}
	defer done()
	var reply []byte
	for !enough(reply) {
		reply = slices.Grow(reply, 4<<10)
		n, err := conn.Read(reply[len(reply):cap(reply)])
		reply = reply[:len(reply)+n]
		switch {
		case err == io.EOF:
			return string(reply), nil
		case err != nil:
			return string(reply), s.explain(ctx, err)
		}
	}
	return string(reply), nil
}

// open opens a connection.
func (s socket) open(ctx context.Context) (*connection, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	return &connection{Conn: conn, socket: s, from: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// dial connects. It retries for the time of patience while the socket refuses
// connections.
func (s socket) dial(ctx context.Context) (net.Conn, error) {
	if s.patience == 0 {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.path)
	}
	patience := time.NewTimer(s.patience)
	defer patience.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", s.path)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return conn, err
		}
		select {
		case <-tick.C:
		case <-patience.C:
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}

// explain adds the remedy, and replaces "i/o timeout" by the cause of the timeout.
func (s socket) explain(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		<-ctx.Done() // the dialer has its own timer, which may expire earlier
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: no answer: %w", s.path, context.Cause(ctx))
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w (%s)", err, s.remedies.denied)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w (%s)", err, s.remedies.missing)
	}
	return err
}
