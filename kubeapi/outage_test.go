// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

func TestFollowStartsWhileTheServerIsDown(t *testing.T) {
	s := serve(t, "cart")
	cfg := watching(s)
	s.Stop()
	f := follow(t, cfg)
	eventually(t, "a warning", func() bool { return len(f.logs.lines("unreachable")) > 0 })
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	f.untilServices("cart")
	eventually(t, "two watches", func() bool { return s.Watching() == 2 })
	address := strings.TrimPrefix(s.URL(), "http://")
	want := []string{
		`level=WARN msg="API server unreachable" server=` + s.URL() + ` err="list services in namespace \"shop\": dial tcp ` + address + `: connect: connection refused"`,
		`level=INFO msg="API server reachable" server=` + s.URL(),
	}
	got := f.logs.lines("API server")
	for i := range got {
		got[i] = strings.Replace(got[i], "list endpointslices", "list services", 1) // either resource may fail first
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestFollowSurvivesFailingLists(t *testing.T) {
	for _, tt := range []struct {
		name string
		how  kubeapitest.Misbehaviour
		log  string // message at its begin and at its end; "" for no message
	}{
		{"one 500 is retried within the list", kubeapitest.FailLists(http.StatusInternalServerError, 1), ""},
		{"one 429 is retried within the list", kubeapitest.TooManyRequests(1, 0), ""},
		{"many 503 are an outage, logged once", kubeapitest.FailLists(http.StatusServiceUnavailable, 12), "API server unreachable / API server reachable"},
		{"many 429 are logged once", kubeapitest.TooManyRequests(12, time.Second), "API server throttles requests / API server no longer throttles requests"},
		{"slow answers are no failure", kubeapitest.Slow(20 * time.Millisecond), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "cart")
			s.Misbehave(tt.how)
			f := follow(t, polling(s))
			f.untilServices("cart")
			began, ended, _ := strings.Cut(tt.log, " / ")
			lines := 0
			if tt.log != "" {
				lines = 2
				eventually(t, ended, func() bool { return len(f.logs.lines(ended)) == 1 })
			}
			if got := f.logs.lines("API server"); len(got) != lines || lines > 0 && !strings.Contains(got[0], began) {
				t.Errorf("log %q, want %q", got, tt.log)
			}
		})
	}
}

func TestFollowGivesUpHangingRequests(t *testing.T) {
	short := func(c *kubeapi.Client) { c.SetTimeouts(50*time.Millisecond, 50*time.Millisecond) }

	t.Run("a list", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "cart")
		s.Misbehave(kubeapitest.HangLists())
		f := follow(t, watching(s), short)
		f.noneUntil("two more lists", func() bool { return s.Lists() >= 4 })
		s.Behave()
		f.untilServices("cart")
		eventually(t, "its end is logged", func() bool { return len(f.logs.lines("API server reachable")) == 1 })
		if got := f.logs.lines("no answer within 50ms"); len(got) != 1 || len(f.logs.lines("API server unreachable")) != 1 {
			t.Errorf("logged %d times, want once: %q", len(got), got)
		}
	})
	t.Run("a watch", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "cart")
		s.Misbehave(kubeapitest.HangWatches())
		f := follow(t, watching(s), short)
		f.untilServices("cart")
		setService(t, s, "pay")
		f.untilServices("cart", "pay") // by listing again
		eventually(t, "the warning", func() bool {
			return len(f.logs.lines(`msg="watch fails, polling" err="watch services in namespace \"shop\": no answer within 50ms"`)) == 1
		})
	})
}

func TestFollowReReadsTheTokenFileAfter401(t *testing.T) {
	for mode, config := range map[string]func(*kubeapitest.Server) kubeapi.Config{"watched": watching, "polled": polling} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "cart")
			s.Misbehave(kubeapitest.RequireToken("first"))
			cfg := config(s)
			cfg.TokenFile = filepath.Join(t.TempDir(), "token")
			write(t, cfg.TokenFile, "first\n")
			f := follow(t, cfg)
			f.untilServices("cart")

			s.Misbehave(kubeapitest.RequireToken("second"))
			s.EndWatches()
			eventually(t, "the error", func() bool { return len(f.logs.lines("rejects the credentials")) == 1 })
			write(t, cfg.TokenFile, "second\n")
			setService(t, s, "pay")
			f.untilServices("cart", "pay")
			eventually(t, "its end in the log", func() bool { return len(f.logs.lines("accepts the credentials")) == 1 })

			// A token that is replaced in time causes no log message.
			write(t, cfg.TokenFile, "third\n")
			s.Misbehave(kubeapitest.RequireToken("third"))
			s.EndWatches()
			setService(t, s, "zoo")
			f.untilServices("cart", "pay", "zoo")

			got := f.logs.lines("credentials")
			if len(got) != 2 || !strings.Contains(got[0], `401 Unauthorized (is the token in `+cfg.TokenFile+` valid?)`) {
				t.Errorf("log %q, want one 401 that names the file, and its end", got)
			}
			for _, token := range []string{"first", "second", "third"} {
				if lines := f.logs.lines(token); len(lines) > 0 {
					t.Errorf("a token is in the log: %q", lines)
				}
			}
		})
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
