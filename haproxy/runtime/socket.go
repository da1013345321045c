// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
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
	// exchangeTimeout bounds one connection to the admin socket.
	exchangeTimeout = 5 * time.Second
	// masterTimeout bounds one connection to the master CLI, which answers
	// "reload" only when the new worker is ready.
	masterTimeout = 30 * time.Second
	// masterPatience is for how long the master CLI may refuse connections:
	// that of 2.6 does from a reload until the configuration is loaded.
	masterPatience = 10 * time.Second
	// maxLine bounds a line of commands well
	// below the default tune.bufsize of 16384: HAProxy 2.6 never answers what
	// does not fit, newer ones refuse it.
	maxLine = 12 << 10
	// maxPayloadText bounds a command with a payload of one piece, which a
	// certificate is: 2.6 takes 16383 bytes.
	maxPayloadText = 15 << 10
)

// socket is one UNIX socket on which HAProxy takes commands. Each exchange has
// a connection of its own, as HAProxy closes it behind a line of commands.
type socket struct {
	path     string
	timeout  time.Duration
	patience time.Duration // with a socket that refuses connections
	prefix   string        // before each command; "" where all are for the one who listens
	remedies remedies
}

// remedies are what an operator may look at when a socket cannot be opened.
type remedies struct{ denied, missing string }

// separator stands between the commands of a line. HAProxy ends a reply with
// an empty line, but some replies hold empty lines and those of "del server" on
// 2.6 end without one, so each is followed by a reply that is known beforehand.
const separator = "show version"

// exchange sends the commands in one line and returns the reply to each,
// without the blank lines around it. An error means that not all replies came;
// HAProxy may have carried out any of the commands then. The commands were
// checked by word or line.
func (s socket) exchange(ctx context.Context, commands []string) ([]string, error) {
	line, size := s.prefix+separator, len(separator)+1
	var text strings.Builder
	text.WriteString(line)
	for _, command := range commands {
		text.WriteString(";" + s.prefix + command + ";" + line)
		size += cost(command)
	}
	if size > maxLine {
		return nil, fmt.Errorf("a line of %d bytes is longer than HAProxy reads", size)
	}
	return s.replies(ctx, text.String(), len(commands))
}

// errCut is a reply without its end.
var errCut = errors.New("reply cut short")

// replies sends commands that stand between separators and returns their n
// replies.
func (s socket) replies(ctx context.Context, text string, n int) ([]string, error) {
	var reply string
	var err error
	if s.prefix == "" {
		reply, err = s.ask(ctx, text+"\n")
	} else {
		reply, err = s.askUntil(ctx, text+";quit\n", answered(n))
	}
	if err != nil {
		return nil, err
	}
	replies := split(reply)
	if len(replies) != n {
		return nil, fmt.Errorf("%s: %w: %d of %d commands answered", s.path, errCut, len(replies), n)
	}
	return replies, nil
}

// answered reports whether a reply of the master CLI is all there, or never will
// be because the worker that was asked is not.
func answered(n int) func([]byte) bool {
	return func(reply []byte) bool {
		if noTarget(reply) {
			return true
		}
		version, _, _ := bytes.Cut(reply, []byte("\n"))
		return bytes.HasSuffix(reply, slices.Concat([]byte("\n"), version, []byte("\n\n"))) && len(split(string(reply))) == n
	}
}

// noTarget reports whether the master knows no worker of the prefix.
func noTarget(reply []byte) bool { return bytes.HasPrefix(reply, []byte("Can't find the target")) }

// split returns what stands between the separator's replies, without what is
// behind the last one.
func split(reply string) []string {
	version, rest, _ := strings.Cut(reply, "\n")
	if version == "" {
		return nil
	}
	var replies []string
	begin, at := 0, 0 // of the present reply, and of the present line
	for line := range strings.Lines(rest) {
		if len(line) == len(version)+1 && line[:len(version)] == version && line[len(version)] == '\n' {
			replies = append(replies, strings.Trim(rest[begin:at], "\n"))
			begin = at + len(line)
		}
		at += len(line)
	}
	return replies
}

// cost is what a command takes of a line.
func cost(command string) int { return len(command) + len(separator) + 2 }

// exchangePayload sends one command with a payload of whole lines
// (management.txt 9.3 "payload") and returns its reply.
func (s socket) exchangePayload(ctx context.Context, command, payload string) (string, error) {
	text := s.prefix + separator + ";" + s.prefix + command + " <<\n" + payload + "\n"
	if len(text) > maxPayloadText {
		return "", fmt.Errorf("a payload of %d bytes is longer than HAProxy reads", len(text))
	}
	if s.prefix != "" { // the master goes on behind a payload
		replies, err := s.replies(ctx, text+s.prefix+separator, 1)
		if err != nil {
			return "", err
		}
		return replies[0], nil
	}
	reply, err := s.ask(ctx, text)
	if err != nil {
		return "", err
	}
	// The payload ends the exchange, so that no separator can follow; the
	// reply's own line feed tells that it is there.
	_, rest, _ := strings.Cut(reply, "\n\n")
	if !strings.HasSuffix(rest, "\n") {
		return "", fmt.Errorf("%s: %w: no answer to the payload", s.path, errCut)
	}
	return strings.Trim(rest, "\n"), nil
}

// ask sends the text and returns everything that HAProxy answers until it
// closes the connection. What was read stands beside an error.
func (s socket) ask(ctx context.Context, text string) (string, error) {
	return s.askUntil(ctx, text, func([]byte) bool { return false })
}

// askUntil is ask that does not wait for the end once it has read enough. The
// master CLI of 3.0 and newer keeps the connection behind a command that it
// refused, even if "quit" follows.
func (s socket) askUntil(ctx context.Context, text string, enough func([]byte) bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	defer conn.close()
	if _, err := io.WriteString(conn, text); err != nil {
		return "", s.explain(ctx, err)
	}
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

// connection is one that ends when its context does.
type connection struct {
	net.Conn
	stop func() bool
}

// open connects. The connection's reads and writes fail once ctx has ended.
func (s socket) open(ctx context.Context) (connection, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return connection{}, s.explain(ctx, err)
	}
	return connection{conn, context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })}, nil
}

func (c connection) close() {
	c.stop()
	c.Close()
}

// dial connects, again and again while the socket refuses and patience lasts.
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

// explain adds the remedy, and says what ran out instead of "i/o timeout".
func (s socket) explain(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		<-ctx.Done() // the dialer looks at the clock itself, a moment earlier
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
