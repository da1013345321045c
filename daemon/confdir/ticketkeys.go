// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"time"

	"podgate/haproxy/cfgfile"
)

// ticketKeyCount is the number of session ticket keys that HAProxy uses: the last but
// one encrypts, and all of them decrypt (configuration.txt "tls-ticket-keys"). So each
// key is known one interval before the first ticket is encrypted with it, and for one
// interval after the last one.
const ticketKeyCount = 3

// newTicketKey is base64 of 80 bytes: an AES-256 key and its authentication key.
func newTicketKey() []byte {
	key := make([]byte, 80)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.AppendEncode(nil, key)
}

// newTicketKeys is the text of a file with random keys.
func newTicketKeys() []byte {
	var text bytes.Buffer
	for range ticketKeyCount {
		text.Write(append(newTicketKey(), '\n'))
	}
	return text.Bytes()
}

// ensureTicketKeys writes random keys if there is no file.
func (d Dir) ensureTicketKeys() error {
	_, err := os.Stat(d.Path(cfgfile.TicketKeysFile))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.replace(cfgfile.TicketKeysFile, newTicketKeys())
}

// TicketKeysTime is when the file of ticket keys was written last.
func (d Dir) TicketKeysTime() (time.Time, error) {
	info, err := os.Stat(d.Path(cfgfile.TicketKeysFile))
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// AddTicketKey appends a new key to the file, removes the first one, and returns the
// new key. The caller sends that to the running HAProxy as well.
func (d Dir) AddTicketKey() ([]byte, error) {
	text, err := os.ReadFile(d.Path(cfgfile.TicketKeysFile))
	if err != nil {
		return nil, err
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	key := newTicketKey()
	next := append(bytes.Clone(rest), append(bytes.Clone(key), '\n')...)
	if bytes.Count(next, []byte("\n")) != ticketKeyCount {
		next = append(newTicketKeys(), append(bytes.Clone(key), '\n')...) // another program wrote the file
		_, next, _ = bytes.Cut(next, []byte("\n"))
	}
	return key, d.replace(cfgfile.TicketKeysFile, next)
}
