// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// replicasConfig returns a Config with these API servers.
func replicasConfig(s *kubeapitest.Server, replicas ...*kubeapitest.Replica) kubeapi.Config {
	cfg := watching(s)
	cfg.Server = replicas[0].URL()
	for _, r := range replicas[1:] {
		cfg.Servers = append(cfg.Servers, r.URL())
	}
	return cfg
}

func TestFollowUsesTheNextServerAfterAFailure(t *testing.T) {
	for _, mode := range []struct {
		name  string
		serve func(*testing.T, ...string) *kubeapitest.Server
		watch bool
	}{{"streamed", serveStreams, true}, {"watched", serve, true}, {"polled", serve, false}} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			s := mode.serve(t, "cart")
			one, other := kubeapitest.StartReplica(t, s), kubeapitest.StartReplica(t, s)
			cfg := replicasConfig(s, one, other)
			cfg.Watch = mode.watch
			f := follow(t, cfg)
			f.untilServices("cart")
			one.Stop()
			setService(t, s, "pay")
			f.untilServices("cart", "pay")

			one.Start()
			before := one.Requests()
			if mode.watch {
				eventually(t, "two watches", func() bool { return s.Watching() == 2 })
			}
			setService(t, s, "zoo")
			f.untilServices("cart", "pay", "zoo")
			if got := one.Requests(); got != before {
				t.Errorf("the first server received %d requests after it failed", got-before)
			}
			want := fmt.Sprintf(`level=INFO msg="another API server is followed" server=%s last=%s err=`, other.URL(), one.URL())
			if got := f.logs.lines("API server"); len(got) != 1 || !strings.HasPrefix(got[0], want) {
				t.Errorf("log %q, want one line: %q with the error", got, want)
			}

			other.Stop()
			s.Delete("Service", "shop", "zoo")
			f.untilServices("cart", "pay")
			want = fmt.Sprintf(`level=INFO msg="another API server is followed" server=%s last=%s err=`, one.URL(), other.URL())
			if got := f.logs.lines("API server"); len(got) != 2 || !strings.HasPrefix(got[1], want) {
				t.Errorf("log %q, want %q with the error as its last line", got, want)
			}
		})
	}
}

func TestFollowStartsWhileTheFirstServerIsDown(t *testing.T) {
	s := serveStreams(t, "cart")
	one, other := kubeapitest.StartReplica(t, s), kubeapitest.StartReplica(t, s)
	one.Stop()
	f := follow(t, replicasConfig(s, one, other))
	f.untilServices("cart")
	want := fmt.Sprintf(`level=INFO msg="another API server is followed" server=%s last=%s err="dial tcp %s: connect: connection refused"`, other.URL(), one.URL(), one.Addr())
	if got := f.logs.lines("API server"); len(got) != 1 || got[0] != want {
		t.Errorf("log %q, want %q alone", got, want)
	}
}

func TestFollowLogsAnOutageOfAllServersOnce(t *testing.T) {
	s := serveStreams(t, "cart")
	one, other := kubeapitest.StartReplica(t, s), kubeapitest.StartReplica(t, s)
	f := follow(t, replicasConfig(s, one, other))
	f.untilServices("cart")
	one.Stop()
	other.Stop()
	eventually(t, "the warning", func() bool { return len(f.logs.lines(`msg="API server unreachable"`)) == 1 })
	refused := regexp.MustCompile(fmt.Sprintf(`err="list \w+ in namespace \\"shop\\": (%[1]s: .*refused; %[2]s: .*refused|%[2]s: .*refused; %[1]s: .*refused)"`, one.URL(), other.URL()))
	if got := f.logs.lines("API server unreachable")[0]; !refused.MatchString(got) {
		t.Errorf("log %q, want the errors of both servers", got)
	}
	setService(t, s, "pay")
	other.Start()
	f.untilServices("cart", "pay")
	eventually(t, "its end in the log", func() bool { return len(f.logs.lines(`msg="API server reachable" server=`+other.URL())) == 1 })
	if got := f.logs.lines("API server unreachable"); len(got) != 1 {
		t.Errorf("logged %d times, want once: %q", len(got), got)
	}
}

// TestFollowStaysWithAServerThatAnswers: the next server of the cluster would answer
// with the same error.
func TestFollowStaysWithAServerThatAnswers(t *testing.T) {
	for _, tt := range []struct {
		name string
		how  kubeapitest.Misbehaviour
		log  string
	}{
		{"throttled", kubeapitest.TooManyRequests(20, 0), "API server throttles requests"},
		{"forbidden", kubeapitest.Forbid("list", "services", ""), "API server forbids a list"},
		{"unauthorized", kubeapitest.RequireToken("other"), "API server rejects the credentials"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "cart")
			one, other := kubeapitest.StartReplica(t, s), kubeapitest.StartReplica(t, s)
			s.Misbehave(tt.how)
			f := follow(t, replicasConfig(s, one, other))
			eventually(t, tt.log, func() bool { return len(f.logs.lines(tt.log)) > 0 })
			s.Behave()
			f.untilServices("cart")
			if got := other.Requests(); got > 0 {
				t.Errorf("the other server received %d requests", got)
			}
		})
	}
}

// TestFollowLeavesAFlappingServerOnce: the first server fails one request in five.
func TestFollowLeavesAFlappingServerOnce(t *testing.T) {
	s := serve(t, "cart")
	var count atomic.Int32
	one := kubeapitest.StartReplica(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1)%5 == 0 {
			panic(http.ErrAbortHandler)
		}
		s.ServeHTTP(w, r)
	}))
	other := kubeapitest.StartReplica(t, s)
	cfg := replicasConfig(s, one, other)
	cfg.Watch, cfg.PollInterval = false, time.Millisecond
	f := follow(t, cfg)
	eventually(t, "a hundred lists", func() bool { return s.Lists() > 100 })
	if got := f.logs.lines("another API server"); len(got) > 1 {
		t.Errorf("logged %d times: %q", len(got), got)
	}
	if got := f.logs.lines("unreachable"); len(got) > 0 {
		t.Errorf("log %q, want no outage: the list is retried", got)
	}
}

func TestListRetriesAfterRetryAfter(t *testing.T) {
	inAnHour := func() time.Time { return time.Now().Add(time.Hour) } // a clock that is ahead
	for _, tt := range []struct {
		name  string
		after string           // Retry-After, "" for a second after clock
		clock func() time.Time // of the server; nil for a Retry-After in seconds
		code  int
		want  []time.Duration // from each request to the next, at least
	}{
		{"one second, three times", "1", nil, http.StatusTooManyRequests, []time.Duration{time.Second, time.Second}},
		{"one second, with 503", "1", nil, http.StatusServiceUnavailable, []time.Duration{time.Second, time.Second}},
		{"longer than the poll interval: no retry within the list", "30", nil, http.StatusTooManyRequests, nil},
		{"a date by the client's clock", "", time.Now, http.StatusTooManyRequests, []time.Duration{time.Second, time.Second}},
		{"a date by a clock that is an hour ahead", "", inAnHour, http.StatusTooManyRequests, []time.Duration{time.Second, time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *network) {
				var asked []time.Time
				n.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					asked = append(asked, time.Now())
					after := tt.after
					if tt.clock != nil {
						now := tt.clock().UTC()
						w.Header().Set("Date", now.Format(http.TimeFormat))
						after = now.Add(time.Second).Format(http.TimeFormat)
					}
					w.Header().Set("Retry-After", after)
					http.Error(w, "Too many requests, please try again later.", tt.code)
				}))
				c := newClient(t, polling5s(), &logBook{})
				n.connect(c)
				_, err := c.List(context.Background())
				if err == nil || !strings.Contains(err.Error(), "Too many requests, please try again later.") {
					t.Errorf("error %v, want the server's message", err)
				}
				var got []time.Duration
				for i := range asked[1:] {
					got = append(got, asked[i+1].Sub(asked[i]))
				}
				short := func(i int) bool { return got[i] < tt.want[i] || got[i] > tt.want[i]*2 }
				if len(got) != len(tt.want) || slices.ContainsFunc([]int{0, 1}[:len(tt.want)], short) {
					t.Errorf("retried after %v, want %v and up to half more", got, tt.want)
				}
			})
		})
	}
}
