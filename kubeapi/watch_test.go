// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"encoding/binary"
	"net/http"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// watched returns a server with a Service cart, and a Client that watches it.
func watched(t *testing.T) (*kubeapitest.Server, *following) {
	t.Helper()
	s := serve(t, "cart")
	f := follow(t, watching(s))
	f.untilServices("cart")
	eventually(t, "two watches", func() bool { return s.Watching() == 2 })
	return s, f
}

func TestWatchContinuesAfterItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		happen func(*kubeapitest.Server)
		relist bool
	}{
		{"the server ends the watch", (*kubeapitest.Server).EndWatches, false},
		{"the connection is cut in the middle of an event", (*kubeapitest.Server).CutWatches, false},
		{"the stream is HTML", func(s *kubeapitest.Server) { s.SendGarbage("<html>") }, false},
		{"the versions expire, with an ERROR event", (*kubeapitest.Server).ExpireVersions, true},
		{
			"the versions expire, with HTTP 410",
			func(s *kubeapitest.Server) {
				s.Misbehave(kubeapitest.GoneByHTTP())
				s.ExpireVersions()
			},
			true,
		},
		{"a bookmark", (*kubeapitest.Server).Bookmark, false},
		{"watches fail for a while", func(s *kubeapitest.Server) {
			s.Misbehave(kubeapitest.FailWatches(http.StatusInternalServerError, 2))
			s.EndWatches()
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, f := watched(t)
			lists := s.Lists()
			tt.happen(s)
			setService(t, s, "pay")
			f.untilServices("cart", "pay")
			s.Delete("Service", "shop", "pay")
			f.untilServices("cart")
			eventually(t, "two watches", func() bool { return s.Watching() == 2 })
			relisted := s.Lists() > lists
			if tt.relist && !relisted {
				t.Error("there was no list")
			}
			if !tt.relist && relisted {
				t.Error("there was a list")
			}
		})
	}
}

func TestRepeatedLateAndReorderedEvents(t *testing.T) {
	for _, tt := range []struct {
		name   string
		how    []kubeapitest.Misbehaviour
		relist bool // only a list shows the last state
	}{
		{"each twice", []kubeapitest.Misbehaviour{kubeapitest.Repeat()}, false},
		{"late", []kubeapitest.Misbehaviour{kubeapitest.Late(50 * time.Millisecond)}, false},
		{"each followed by the object's earlier state", []kubeapitest.Misbehaviour{kubeapitest.Echo()}, false},
		{"late, twice, and followed by the object's earlier state", []kubeapitest.Misbehaviour{kubeapitest.Late(50 * time.Millisecond), kubeapitest.Repeat(), kubeapitest.Echo()}, false},
		{"in another order", []kubeapitest.Misbehaviour{kubeapitest.Late(50 * time.Millisecond), kubeapitest.Shuffle(7)}, true},
		{"in another order, with the object's earlier state", []kubeapitest.Misbehaviour{kubeapitest.Late(50 * time.Millisecond), kubeapitest.Shuffle(8), kubeapitest.Echo()}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, f := watched(t)
			s.Misbehave(tt.how...)
			for range 3 {
				setService(t, s, "pay")
				setService(t, s, "gone")
				setSlice(t, s, "pay", "10.0.0.1", "10.0.0.2")
				setSlice(t, s, "pay", "10.0.0.3")
				s.Delete("Service", "shop", "gone")
			}
			if tt.relist {
				f.until("a change", func(s *kubeapi.Snapshot) bool { return len(s.Services) > 1 })
				s.Behave()
				s.ExpireVersions()
			}
			setService(t, s, "last") // causes a Snapshot in every row
			f.until("the last state", func(s *kubeapi.Snapshot) bool {
				return slices.Equal(serviceNames(s), []string{"cart", "last", "pay"}) && slices.Equal(addresses(s, "pay"), []string{"10.0.0.3"})
			})
			if warned := f.logs.lines("level=WARN"); len(warned) > 0 && !tt.relist {
				t.Errorf("log %q, want nothing", warned)
			}
		})
	}
}

// protoEvent returns one event of a watch in protobuf, about an object of these
// bytes.
func protoEvent(kind string, raw []byte) string {
	field := func(b []byte, num protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), value)
	}
	wrapped := append([]byte("k8s\x00"), field(nil, 2, raw)...)
	event := field(field(nil, 1, []byte(kind)), 2, field(nil, 1, wrapped))
	return string(append(binary.BigEndian.AppendUint32(nil, uint32(len(event))), event...))
}

func TestWatchOfMalformedEvents(t *testing.T) {
	nameless := protoEvent("ADDED", nil)
	broken := []byte{0x0a, 0x08, 0x0a, 0x04, 'c', 'a', 'r', 't', 0x32, 0x02, 0x08} // its last field is cut short
	for _, tt := range []struct {
		name           string
		json, protobuf string
		relist         bool
	}{
		{
			name:     "an object that cannot be decoded",
			json:     `{"type":"MODIFIED","object":{"metadata":{"name":"cart","namespace":"shop"},"spec":7,"ports":7}}`,
			protobuf: protoEvent("MODIFIED", broken),
			relist:   true,
		},
		{"an object without a name", `{"type":"ADDED","object":{}}`, nameless, true},
		{"a bookmark without a version", `{"type":"BOOKMARK","object":{}}`, protoEvent("BOOKMARK", nil), true},
		{"an ERROR without a Status", `{"type":"ERROR","object":7}`, protoEvent("ERROR", broken), true},
		{"a malformed envelope", `{"type":7}`, "\x00\x00\x00\x02\x12\x00", true},
		{"an event of an unknown type", `{"type":"NEWS","object":7}`, protoEvent("NEWS", broken), false},
	} {
		for encoding, text := range map[string]string{"JSON": tt.json, "protobuf": tt.protobuf} {
			t.Run(tt.name+" in "+encoding, func(t *testing.T) {
				t.Parallel()
				s := serve(t, "cart")
				if encoding == "JSON" {
					s.SpeakOnlyJSON()
				}
				f := follow(t, watching(s))
				f.untilServices("cart")
				eventually(t, "two watches", func() bool { return s.Watching() == 2 })
				lists := s.Lists()
				s.SendGarbage(text)
				setService(t, s, "pay")
				f.untilServices("cart", "pay")
				s.Delete("Service", "shop", "pay")
				f.untilServices("cart")
				if tt.relist != (s.Lists() > lists) {
					t.Errorf("%d more lists, want a list: %v", s.Lists()-lists, tt.relist)
				}
			})
		}
	}
}

func TestWatchContinuesFromItsLastVersion(t *testing.T) {
	for _, tt := range []struct {
		name  string
		learn func(*kubeapitest.Server)
		lists int
	}{
		{"the version of a bookmark", (*kubeapitest.Server).Bookmark, 0},
		{"a version that is no longer in the history", func(*kubeapitest.Server) {}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, f := watched(t)
			// A change that these watches do not see ages their version.
			if err := s.SetService(kubeapi.Service{Key: kubeapi.Key{Namespace: "bank", Name: "vault"}}); err != nil {
				t.Fatal(err)
			}
			tt.learn(s)
			lists, watches := s.Lists(), s.Watches()
			s.Misbehave(kubeapitest.HangWatches())
			s.EndWatches()
			eventually(t, "two more watches", func() bool { return s.Watches() == watches+2 })
			s.KeepHistory(0)
			s.KeepHistory(100)
			s.Behave()
			eventually(t, "the lists", func() bool { return s.Lists() == lists+tt.lists })
			setService(t, s, "pay")
			f.untilServices("cart", "pay")
			if got := s.Lists() - lists; got != tt.lists {
				t.Errorf("%d lists, want %d", got, tt.lists)
			}
		})
	}
}

func TestFailingWatchFallsBackToPolling(t *testing.T) {
	s := serve(t, "cart")
	s.Misbehave(kubeapitest.FailWatches(http.StatusInternalServerError, 1_000_000))
	f := follow(t, watching(s))
	f.untilServices("cart")
	setService(t, s, "pay")
	f.untilServices("cart", "pay")
	eventually(t, "the warning", func() bool { return len(f.logs.lines(`msg="watch fails, polling" err="watch services`)) == 1 })
	lists := s.Lists()
	eventually(t, "ten more lists", func() bool { return s.Lists() > lists+10 })
	if got := f.logs.lines("watch fails, polling"); len(got) != 2 {
		t.Errorf("logged %d times, want once for each resource: %q", len(got), got)
	}
	if got := f.logs.lines("API server"); len(got) != 0 {
		t.Errorf("log %q, want nothing about the server", got)
	}
}

func TestRejectedWatchIsLoggedOnceAndPolled(t *testing.T) {
	for _, tt := range []struct {
		name string
		how  kubeapitest.Misbehaviour
	}{
		{"by RBAC", kubeapitest.Forbid("watch", "services", "")},
		{"as not found", kubeapitest.FailWatches(http.StatusNotFound, 1_000_000)},
		{"as a method not allowed", kubeapitest.FailWatches(http.StatusMethodNotAllowed, 1_000_000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "cart")
			s.Misbehave(tt.how)
			cfg := watching(s)
			cfg.PollInterval = 5 * time.Millisecond
			cfg.ResyncInterval = 200 * time.Millisecond
			f := follow(t, cfg)
			for _, name := range []string{"pay", "zoo"} {
				f.until("", func(*kubeapi.Snapshot) bool { return true })
				setService(t, s, name)
			}
			f.untilServices("cart", "pay", "zoo")
			const text = `msg="watch rejected, polling" err="watch services`
			watches := s.Watches()
			eventually(t, "more watches", func() bool { return s.Watches() > watches+3 })
			if got := f.logs.lines(text); len(got) != 1 {
				t.Errorf("logged %d times, want once: %q", len(got), got)
			}
			s.Behave()
			eventually(t, "the end of polling in the log", func() bool {
				setService(t, s, "zoo") // an event
				return len(f.logs.lines(`level=INFO msg="watch works, polling ended" op="watch services`)) == 1
			})
		})
	}
}

func TestWatchWithoutEventsEndsPolling(t *testing.T) {
	s := serve(t, "cart")
	s.Misbehave(kubeapitest.Forbid("watch", "services", ""))
	cfg := watching(s)
	cfg.ResyncInterval = 1500 * time.Millisecond // the watch lasts more than a second
	f := follow(t, cfg)
	eventually(t, "the warning", func() bool { return len(f.logs.lines("watch rejected, polling")) == 1 })
	s.Behave()
	eventually(t, "the end of polling in the log", func() bool { return len(f.logs.lines("watch works, polling ended")) == 1 })
}

func TestResyncFindsARestoredEtcd(t *testing.T) {
	for mode, serve := range map[string]func(*testing.T, ...string) *kubeapitest.Server{"watched": serve, "streamed": serveStreams} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "cart")
			cfg := watching(s)
			cfg.ResyncInterval = 300 * time.Millisecond
			f := follow(t, cfg)
			f.untilServices("cart")
			s.RestoreVersion(7)
			setService(t, s, "pay") // version 8; a watch from 1000 never sends it
			f.untilServices("cart", "pay")
			eventually(t, "two warnings", func() bool {
				return len(f.logs.lines(`level=WARN msg="resource version went backwards"`)) == 2
			})
		})
	}
}

func TestUnreadableEventIsLoggedOnce(t *testing.T) {
	s := serve(t, "cart")
	s.SpeakOnlyJSON()
	f := follow(t, watching(s))
	eventually(t, "two watches", func() bool { return s.Watching() == 2 })
	for range 3 {
		lists := s.Lists()
		s.SendGarbage(`{"type":"ADDED","object":{"metadata":{"name":"odd","namespace":"shop","resourceVersion":"1"},"spec":{"ports":"none"},"ports":"none"}}`)
		eventually(t, "two more lists", func() bool { return s.Lists() == lists+2 })
		eventually(t, "two watches", func() bool { return s.Watching() == 2 })
	}
	if got := f.logs.lines(`msg="watch event unreadable, listing again" service=shop/odd`); len(got) != 1 {
		t.Errorf("logged %d times, want once: %q", len(got), got)
	}
}
