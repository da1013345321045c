// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// child is a program that reads an API server. It prints "synced" when it has read
// everything, and ends when its standard input does.
type child struct {
	*exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
}

// startChild returns when the child has printed "synced".
func startChild(ctx context.Context, env []string, command ...string) (*child, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr, cmd.Env = os.Stderr, append(os.Environ(), env...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd, stdin, bufio.NewReader(stdout)}
	if _, err := c.out.ReadString('\n'); err != nil {
		return nil, errors.Join(err, c.Wait())
	}
	return c, nil
}

// end ends the child, and reads the values that it prints then.
func (c *child) end(values ...any) error {
	if err := c.stdin.Close(); err != nil {
		return err
	}
	_, err := fmt.Fscan(c.out, values...)
	return errors.Join(err, c.Wait())
}

// kill ends a child that has not ended.
func (c *child) kill() {
	if c.ProcessState == nil {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	}
}
