// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTokenFileIsReReadAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "token", "first\n")
		var logs bytes.Buffer
		tok, err := newToken(access{token: "inline", tokenFile: dir + "/token"}, slog.New(slog.NewTextHandler(&logs, nil)))
		if err != nil {
			t.Fatal(err)
		}
		expect := func(want string) {
			t.Helper()
			if got := tok.current(); got != want {
				t.Errorf("token %q, want %q", got, want)
			}
		}
		expect("first")
		write(t, dir, "token", "second\n")
		time.Sleep(59 * time.Second)
		expect("first")
		time.Sleep(time.Second)
		expect("second")

		if err := os.Remove(dir + "/token"); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(time.Minute)
			expect("second") // the last token is kept
		}
		if got := strings.Count(logs.String(), "token file unreadable, keeping the last token"); got != 1 {
			t.Errorf("logged %d times, want once:\n%s", got, logs.String())
		}
	})
}

func TestTokenAfter401(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "token", "first")
	tok, err := newToken(access{tokenFile: dir + "/token"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := tok.after401("first"); got != "first" || ok {
		t.Errorf("the file did not change: got %q, %v", got, ok)
	}
	write(t, dir, "token", "second")
	if got, ok := tok.after401("first"); got != "second" || !ok {
		t.Errorf("the file changed: got %q, %v", got, ok)
	}
	if got, ok := tok.after401("first"); got != "second" || !ok {
		t.Errorf("another request has re-read it: got %q, %v", got, ok)
	}
	fixed, err := newToken(access{token: "inline"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := fixed.after401("inline"); got != "inline" || ok {
		t.Errorf("a token without a file: got %q, %v", got, ok)
	}
}
