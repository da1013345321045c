// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	// separator is a command that is sent before, between and after the commands of a
	// line. Its reply separates their replies. An empty line does not: some replies
	// contain empty lines, and the reply to "del server" of 2.6 ends without one.
	separator = "show version"
	// prompt is the end of a reply in interactive mode, and in 2.6 and 3.0 of each reply
	// of a line.
	prompt = "> "
)

// errCut is returned if the end of a reply is missing.
var errCut = errors.New("reply cut short")

// asker sends commands in one line. For every line of the replies that is not empty it
// calls each, as soon as the line arrives: command is the index of the command, and
// line, without its line feed, is valid until each returns. It returns an error of
// each. After any other error HAProxy may have executed any of the commands. The caller
// has checked the commands by checkWord or checkLine.
type asker func(ctx context.Context, commands []string, each func(command int, line []byte) error) error

// commandLine is "show version;COMMAND;show version;COMMAND;show version", with
// the prefix before each command.
func commandLine(prefix string, commands []string) string {
	var text strings.Builder
	text.WriteString(prefix + separator)
	for _, command := range commands {
		text.WriteString(";" + prefix + command + ";" + prefix + separator)
	}
	return text.String()
}

// emptyLine is the length of a line without commands, and cost the length that a
// command adds. The prefix does not count, because the master removes it.
const emptyLine = len(separator) + 1

func cost(command string) int { return len(command) + len(separator) + 2 }

func lineSize(commands []string) int {
	size := emptyLine
	for _, command := range commands {
		size += cost(command)
	}
	return size
}

// collect returns the reply to each command, without empty lines.
func collect(ctx context.Context, ask asker, commands []string) ([]string, error) {
	var text []byte
	ends := make([]int, len(commands))
	err := ask(ctx, commands, func(command int, line []byte) error {
		text = append(append(text, line...), '\n')
		ends[command] = len(text)
		return nil
	})
	if err != nil {
		return nil, err
	}
	all := string(text)
	replies := make([]string, len(commands))
	begin := 0
	for i, end := range ends {
		if end > begin {
			replies[i] = all[begin : end-1]
			begin = end
		}
	}
	return replies, nil
}

// connection is one open socket. It may not be used concurrently.
type connection struct {
	net.Conn
	socket      socket
	from        *bufio.Reader
	long        []byte // holds a line that is longer than the buffer of from
	interactive bool   // each reply ends in a prompt (management.txt "prompt")
}

// ask writes text, which is n commands between separators, and reads their replies.
func (c *connection) ask(ctx context.Context, text string, n int, each func(command int, line []byte) error) error {
	done, err := c.send(ctx, text)
	if err != nil {
		return err
	}
	defer done()
	version, err := c.line()
	if err != nil || len(version) == 0 || noTarget(version) {
		return c.cut(ctx, err, 0, n)
	}
	version = bytes.Clone(version)
	for command := 0; command < n; {
		line, err := c.line()
		if err != nil {
			return c.cut(ctx, err, command, n)
		}
		switch {
		case len(line) == 0:
		case bytes.Equal(line, version):
			command++
		default:
			if err := each(command, line); err != nil {
				return err
			}
		}
	}
	if c.interactive {
		return c.awaitPrompt(ctx)
	}
	return nil
}

// send writes text. Reads fail when ctx ends, until done is called.
func (c *connection) send(ctx context.Context, text string) (done func() bool, err error) {
	if err := c.SetDeadline(time.Time{}); err != nil {
		return nil, c.socket.explain(ctx, err)
	}
	done = context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	if _, err := io.WriteString(c, text); err != nil {
		done()
		return nil, c.socket.explain(ctx, err)
	}
	return done, nil
}

// line reads a line, which is valid until the next one.
func (c *connection) line() ([]byte, error) {
	line, err := c.from.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		c.long = c.long[:0]
		for err == bufio.ErrBufferFull {
			c.long = append(c.long, line...)
			line, err = c.from.ReadSlice('\n')
		}
		c.long = append(c.long, line...)
		line = c.long
	}
	if err != nil {
		return nil, err
	}
	line = line[:len(line)-1]
	for c.interactive && bytes.HasPrefix(line, []byte(prompt)) {
		line = line[len(prompt):]
	}
	return line, nil
}

// awaitPrompt reads the end of a reply in interactive mode.
func (c *connection) awaitPrompt(ctx context.Context) error {
	end := make([]byte, len("\n"+prompt))
	if _, err := io.ReadFull(c.from, end); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("%s: %w: no prompt", c.socket.path, errCut)
		}
		return c.socket.explain(ctx, err)
	}
	if string(end) != "\n"+prompt {
		return fmt.Errorf("%s: got %q where a prompt was expected", c.socket.path, end)
	}
	return nil
}

// cut returns the error of a reply that ended after the replies to some of n commands.
func (c *connection) cut(ctx context.Context, err error, answered, n int) error {
	if err == nil || err == io.EOF {
		return fmt.Errorf("%s: %w: %d of %d commands answered (was HAProxy reloaded or restarted?)", c.socket.path, errCut, answered, n)
	}
	return c.socket.explain(ctx, err)
}

// noTarget reports whether a reply is that of a master without the worker of the prefix.
func noTarget(reply []byte) bool { return bytes.HasPrefix(reply, []byte("Can't find the target")) }
