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
// one encrypts, all of them decrypt (configuration.txt "tls-ticket-keys"). So a
// key is known to every edge that shares it before tickets are made with it, and
// for one interval after.
const ticketKeyCount = 3

// tickets says when the keys of session tickets change. They are changed while
// HAProxy runs and on disk, so that sessions outlive reloads and restarts, and
// that who steals a key can read no more than what was said with it.
type tickets struct {
	interval time.Duration
	retry    backoff
	untold   []byte // a key that is on disk, and that HAProxy did not take yet; nil for none
	pid      int    // of that HAProxy: another one has read it from there
}

// due reports whether keys that were written at some time are to change. Time
// that is to come is of a clock that was set back since.
func (t *tickets) due(written time.Time) bool {
	age := time.Since(written)
	return age >= t.interval || age < -time.Minute
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
	if e.tickets.pid != e.process.Pid {
		e.tickets.untold, e.tickets.pid = nil, e.process.Pid
	}
	info, err := os.Stat(e.folder.ticketKeysPath())
	if err != nil || e.tickets.untold == nil && !e.tickets.due(info.ModTime()) {
		return nil
	}
	if err := e.changeTicketKey(ctx); err != nil {
		e.tickets.retry.later()
		return err
	}
	e.tickets.retry.reset()
	e.log.Info("key of session tickets changed")
	return nil
}

func (e *edge) changeTicketKey(ctx context.Context) error {
	if e.tickets.untold == nil {
		key, err := e.folder.addTicketKey()
		if err != nil {
			return err
		}
		e.tickets.untold = key
	}
	if err := e.runtime.TicketKey(ctx, string(e.tickets.untold)); err != nil {
		return err
	}
	e.tickets.untold = nil
	return nil
}

// addTicketKey puts a new key behind the others, of which the first goes.
func (f folder) addTicketKey() ([]byte, error) {
	text, err := os.ReadFile(f.ticketKeysPath())
	if err != nil {
		return nil, err
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	key := newTicketKey()
	next := append(bytes.Clone(rest), append(bytes.Clone(key), '\n')...)
	if bytes.Count(next, []byte("\n")) != ticketKeyCount {
		next = append(newTicketKeys(), append(bytes.Clone(key), '\n')...) // somebody else wrote it
		_, next, _ = bytes.Cut(next, []byte("\n"))
	}
	return key, f.replace(cfgfile.TicketKeysFile, next)
}
