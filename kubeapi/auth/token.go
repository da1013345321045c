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

// tokenMaxAge is how long a token file is trusted before it is read again, as
// client-go does (transport/token_source.go). An expired token keeps working
// for a minute.
const tokenMaxAge = time.Minute

// token is a bearer token, from a file that is read again or fixed. It may be
// used concurrently.
type token struct {
	file string // "" when fixed
	log  *slog.Logger

	mu     sync.Mutex
	value  string
	read   time.Time
	failed bool // the last reading of the file, which was told
}

// newToken returns the token of a, or nil when it has none.
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

// current returns the token, read again when it is older than a minute.
func (t *token) current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != "" && time.Since(t.read) >= tokenMaxAge {
		t.reread()
	}
	return t.value
}

// after401 returns what to try after the server refused a token, and whether
// that differs.
func (t *token) after401(refused string) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != "" && t.value == refused {
		t.reread()
	}
	return t.value, t.value != refused
}

// reread keeps the token it has when the file cannot be read.
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
