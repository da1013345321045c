// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"podgate/haproxy/cfgfile"
)

// ticketKeyCount is how many keys of session tickets HAProxy knows: the last but
// one encrypts, all of them decrypt (configuration.txt "tls-ticket-keys").
const ticketKeyCount = 3

// tickets says when the keys of session tickets change. They are changed while
// HAProxy runs and on disk, so that sessions outlive reloads and restarts, and
// that who steals a key can read no more than what was said with it.
type tickets struct {
	interval time.Duration
	retry    backoff
}

// newTicketKey is base64 of 80 bytes: AES-256 and what authenticates it.
func newTicketKey() []byte {
	key := make([]byte, 80)
	_, _ = rand.Read(key) // which never fails
	return base64.StdEncoding.AppendEncode(nil, key)
}

// newTicketKeys is a file of keys that nobody knows.
func newTicketKeys() []byte {
	var text bytes.Buffer
	for range ticketKeyCount {
		text.Write(append(newTicketKey(), '\n'))
	}
	return text.Bytes()
}

func (f folder) ticketKeysPath() string { return filepath.Join(string(f), cfgfile.TicketKeysFile) }

// ensureTicketKeys writes keys where there are none.
func (f folder) ensureTicketKeys() error {
	_, err := os.Stat(f.ticketKeysPath())
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.replace(cfgfile.TicketKeysFile, newTicketKeys())
}

// rotateTickets gives HAProxy a new key when it is time: on disk first.
func (e *edge) rotateTickets(ctx context.Context) error {
	if !e.ours || e.process.Pid == 0 || !e.have.Loaded.EndsTLS() || time.Now().Before(e.tickets.retry.at) {
		return nil
	}
	info, err := os.Stat(e.folder.ticketKeysPath())
	if err != nil || time.Since(info.ModTime()) < e.tickets.interval {
		return nil
	}
	text, err := os.ReadFile(e.folder.ticketKeysPath())
	if err != nil {
		return err
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	key := newTicketKey()
	next := append(bytes.Clone(rest), append(bytes.Clone(key), '\n')...)
	if bytes.Count(next, []byte("\n")) != ticketKeyCount {
		next = newTicketKeys() // somebody else wrote it
	}
	if err := e.folder.replace(cfgfile.TicketKeysFile, next); err != nil {
		e.tickets.retry.later()
		return err
	}
	if err := e.runtime.TicketKey(ctx, string(key)); err != nil {
		e.tickets.retry.later()
		return err
	}
	e.tickets.retry.reset()
	e.log.Info("key of session tickets changed")
	return nil
}
