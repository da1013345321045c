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

// behindDoors returns a Config for the doors.
func behindDoors(s *kubeapitest.Server, doors ...*kubeapitest.Door) kubeapi.Config {
	cfg := watching(s)
	cfg.Server = doors[0].URL()
	for _, d := range doors[1:] {
		cfg.Servers = append(cfg.Servers, d.URL())
	}
	return cfg
}

func TestNextServerIsAskedWhenOneFails(t *testing.T) {
	for _, mode := range []struct {
		name  string
		serve func(*testing.T, ...string) *kubeapitest.Server
		watch bool
	}{{"streamed", serveStreams, true}, {"watched", serve, true}, {"polled", serve, false}} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			s := mode.serve(t, "cart")
			one, other := kubeapitest.OpenDoor(t, s), kubeapitest.OpenDoor(t, s)
			cfg := behindDoors(s, one, other)
			cfg.Watch = mode.watch
			f := follow(t, cfg)
			f.untilServices("cart")
			one.Close()
			setService(t, s, "pay")
			f.untilServices("cart", "pay")

			one.Open()
			asked := one.Asked()
			if mode.watch {
				eventually(t, "two watches", func() bool { return s.Watching() == 2 })
			}
			setService(t, s, "zoo")
			f.untilServices("cart", "pay", "zoo")
			if got := one.Asked(); got != asked {
				t.Errorf("the first was asked %d times after it was left", got-asked)
			}
			want := fmt.Sprintf(`level=INFO msg="another API server is followed" server=%s last=%s err=`, other.URL(), one.URL())
			if got := f.logs.lines("API server"); len(got) != 1 || !strings.HasPrefix(got[0], want) {
				t.Errorf("log %q, want %q and why, alone", got, want)
			}

			other.Close()
			s.Delete("Service", "shop", "zoo")
			f.untilServices("cart", "pay")
			want = fmt.Sprintf(`level=INFO msg="another API server is followed" server=%s last=%s err=`, one.URL(), other.URL())
			if got := f.logs.lines("API server"); len(got) != 2 || !strings.HasPrefix(got[1], want) {
				t.Errorf("log %q, want %q and why at its end", got, want)
			}
		})
	}
}

func TestFirstServerIsAwayAtTheStart(t *testing.T) {
	s := serveStreams(t, "cart")
	one, other := kubeapitest.OpenDoor(t, s), kubeapitest.OpenDoor(t, s)
	one.Close()
	f := follow(t, behindDoors(s, one, other))
	f.untilServices("cart")
	want := fmt.Sprintf(`level=INFO msg="another API server is followed" server=%s last=%s err="dial tcp %s: connect: connection refused"`, other.URL(), one.URL(), one.Addr())
	if got := f.logs.lines("API server"); len(got) != 1 || got[0] != want {
		t.Errorf("log %q, want %q alone", got, want)
	}
}

func TestAllServersAreAway(t *testing.T) {
	s := serveStreams(t, "cart")
	one, other := kubeapitest.OpenDoor(t, s), kubeapitest.OpenDoor(t, s)
	f := follow(t, behindDoors(s, one, other))
	f.untilServices("cart")
	one.Close()
	other.Close()
	eventually(t, "it is told", func() bool { return len(f.logs.lines(`msg="API server unreachable"`)) == 1 })
	refused := regexp.MustCompile(fmt.Sprintf(`err="list \w+ in namespace \\"shop\\": (%[1]s: .*refused; %[2]s: .*refused|%[2]s: .*refused; %[1]s: .*refused)"`, one.URL(), other.URL()))
	if got := f.logs.lines("API server unreachable")[0]; !refused.MatchString(got) {
		t.Errorf("log %q, want why neither can be asked", got)
	}
	setService(t, s, "pay")
	other.Open()
	f.untilServices("cart", "pay")
	eventually(t, "its end is told", func() bool { return len(f.logs.lines(`msg="API server reachable" server=`+other.URL())) == 1 })
	if got := f.logs.lines("API server unreachable"); len(got) != 1 {
		t.Errorf("told %d times, want once: %q", len(got), got)
	}
}

// TestServerThatAnswersIsNotLeft: whoever is overloaded or refuses is there, and
// the next one would say the same.
func TestServerThatAnswersIsNotLeft(t *testing.T) {
	for _, tt := range []struct {
		name string
		how  kubeapitest.Misbehaviour
		told string
	}{
		{"overloaded", kubeapitest.TooManyRequests(20, 0), "API server throttles requests"},
		{"forbidden", kubeapitest.Forbid("list", "services", ""), "API server forbids a list"},
		{"unknown", kubeapitest.RequireToken("other"), "API server rejects the credentials"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "cart")
			one, other := kubeapitest.OpenDoor(t, s), kubeapitest.OpenDoor(t, s)
			s.Misbehave(tt.how)
			f := follow(t, behindDoors(s, one, other))
			eventually(t, "it is told", func() bool { return len(f.logs.lines(tt.told)) > 0 })
			s.Behave()
			f.untilServices("cart")
			if got := other.Asked(); got > 0 {
				t.Errorf("the other was asked %d times", got)
			}
		})
	}
}

// TestAServerThatFailsNowAndThenIsLeftOnce: it may be well again each time that
// somebody looks.
func TestAServerThatFailsNowAndThenIsLeftOnce(t *testing.T) {
	s := serve(t, "cart")
	var count atomic.Int32
	one := kubeapitest.OpenDoor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1)%5 == 0 {
			panic(http.ErrAbortHandler)
		}
		s.ServeHTTP(w, r)
	}))
	other := kubeapitest.OpenDoor(t, s)
	cfg := behindDoors(s, one, other)
	cfg.Watch, cfg.PollInterval = false, time.Millisecond
	f := follow(t, cfg)
	eventually(t, "a hundred lists", func() bool { return s.Lists() > 100 })
	if got := f.logs.lines("another API server"); len(got) > 1 {
		t.Errorf("told %d times: %q", len(got), got)
	}
	if got := f.logs.lines("unreachable"); len(got) > 0 {
		t.Errorf("log %q, want none: a list is asked for again", got)
	}
}

func TestTooManyRequestsIsAskedAgainWhenToldTo(t *testing.T) {
	inAnHour := func() time.Time { return time.Now().Add(time.Hour) } // as told by a clock that is ahead
	for _, tt := range []struct {
		name  string
		after string           // Retry-After, "" for a second after clock
		clock func() time.Time // the server's; nil for ours
		code  int
		want  []time.Duration // from each request to the next, at least
	}{
		{"in a second, three times", "1", nil, http.StatusTooManyRequests, []time.Duration{time.Second, time.Second}},
		{"unavailable, in a second", "1", nil, http.StatusServiceUnavailable, []time.Duration{time.Second, time.Second}},
		{"later than the next poll, by whoever polls", "30", nil, http.StatusTooManyRequests, nil},
		{"at a time, by our clock", "", time.Now, http.StatusTooManyRequests, []time.Duration{time.Second, time.Second}},
		{"at a time, by a clock that is an hour ahead", "", inAnHour, http.StatusTooManyRequests, []time.Duration{time.Second, time.Second}},
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
				_, err := n.client(t, polling5s(), &logBook{}).List(context.Background())
				if err == nil || !strings.Contains(err.Error(), "Too many requests, please try again later.") {
					t.Errorf("error %v, want what the server said", err)
				}
				var got []time.Duration
				for i := range asked[1:] {
					got = append(got, asked[i+1].Sub(asked[i]))
				}
				short := func(i int) bool { return got[i] < tt.want[i] || got[i] > tt.want[i]*2 }
				if len(got) != len(tt.want) || slices.ContainsFunc([]int{0, 1}[:len(tt.want)], short) {
					t.Errorf("asked again after %v, want %v and up to half more", got, tt.want)
				}
			})
		})
	}
}
