// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// tokenMaxAge is the time from one re-read of a token file to the next, as in
// client-go (transport/token_source.go). An expired token works for another minute.
const tokenMaxAge = time.Minute

// token is a bearer token: fixed, or of a file that is re-read. It may be used
// concurrently.
type token struct {
	file string // "" when fixed
	log  *slog.Logger

	mu     sync.Mutex
	value  string
	read   time.Time
	failed bool // the last reading failed; logged
}

// newToken returns the token of a, or nil.
func newToken(a access, log *slog.Logger) (*token, error) {
	if a.tokenFile == "" {
		if a.token == "" {
			return nil, nil
		}
		return &token{value: a.token}, nil
	}
	value, err := readToken(a.tokenFile)
	if err != nil {
		return nil, err
	}
	return &token{file: a.tokenFile, log: log, value: value, read: time.Now()}, nil
}

func readToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read token file: %v", err)
	}
	value := bytes.TrimSpace(text)
	if len(value) == 0 {
		return "", fmt.Errorf("read token file: %s is empty", file)
	}
	if i := bytes.IndexFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
		return "", fmt.Errorf("read token file: %s is not one line of plain text", file)
	}
	return string(value), nil
}

// current returns the token, re-read if that was a minute ago.
func (t *token) current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != "" && time.Since(t.read) >= tokenMaxAge {
		t.reread()
	}
	return t.value
}

// after401 returns the token to try after a 401, and whether it differs from the one
// that was rejected.
func (t *token) after401(rejected string) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != "" && t.value == rejected {
		t.reread()
	}
	return t.value, t.value != rejected
}

// reread keeps the token if the file cannot be read.
func (t *token) reread() {
	value, err := readToken(t.file)
	t.read = time.Now()
	switch {
	case err == nil:
		t.value, t.failed = value, false
	case !t.failed:
		t.failed = true
		t.log.Warn("token file unreadable, keeping the last token", "err", err)
	}
}
