// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/kubeapi/wire"
)

func TestEachConditionIsLoggedOnce(t *testing.T) {
	a, b := source{wire.Services, "shop"}, source{wire.EndpointSlices, "shop"}
	down := errors.New("dial: refused")
	denied, forbidden := &statusError{code: 401}, &statusError{code: 403}
	type report struct {
		src source
		err error
	}
	for _, tt := range []struct {
		name    string
		reports []report
		want    []string
	}{
		{"no errors", []report{{a, nil}, {b, nil}, {a, nil}}, nil},
		{
			"an outage of all sources ends with the last one",
			[]report{{a, down}, {b, down}, {a, down}, {a, nil}, {a, nil}, {b, down}, {b, nil}},
			[]string{"WARN API server unreachable", "INFO API server reachable"},
		},
		{
			"a source that flaps while another is down is not logged",
			[]report{{a, down}, {b, down}, {a, nil}, {a, down}, {a, nil}},
			[]string{"WARN API server unreachable"},
		},
		{
			"a starting server that rejects the credentials",
			[]report{{a, down}, {b, down}, {a, denied}, {b, denied}, {b, nil}, {a, nil}},
			[]string{
				"WARN API server unreachable", "ERROR API server rejects the credentials",
				"INFO API server reachable", "INFO API server accepts the credentials",
			},
		},
		{
			"a starting server that has not read its roles yet",
			[]report{{a, down}, {b, down}, {a, forbidden}, {b, forbidden}, {a, forbidden}, {a, nil}, {b, nil}},
			[]string{"WARN API server unreachable", "INFO API server reachable"},
		},
		{
			"a starting server whose outage only one source has seen",
			[]report{{a, nil}, {b, nil}, {a, down}, {b, forbidden}, {a, nil}, {b, forbidden}, {b, nil}},
			[]string{"WARN API server unreachable", "INFO API server reachable"},
		},
		{
			"a list that was forbidden before an outage is not logged again after it",
			[]report{{b, forbidden}, {a, down}, {b, forbidden}, {a, nil}, {b, nil}},
			[]string{
				"ERROR API server forbids a list", "WARN API server unreachable",
				"INFO API server reachable", "INFO API server allows the list",
			},
		},
		{
			"a forbidden list is logged for each source",
			[]report{{a, forbidden}, {b, forbidden}, {a, forbidden}, {a, nil}},
			[]string{"ERROR API server forbids a list", "ERROR API server forbids a list", "INFO API server allows the list"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var logs bytes.Buffer
			log := slog.New(slog.NewTextHandler(&logs, nil))
			h := newTracker(log, func() string { return "https://10.0.0.1" })
			for _, r := range tt.reports {
				h.report(r.src, r.err)
			}
			var got []string
			for line := range strings.Lines(logs.String()) {
				_, line, _ = strings.Cut(line, "level=")
				level, rest, _ := strings.Cut(line, ` msg="`)
				message, _, _ := strings.Cut(rest, `"`)
				got = append(got, level+" "+message)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

func TestForbiddenAfterAnOutageIsLoggedAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		h := newTracker(slog.New(slog.NewTextHandler(&logs, nil)), func() string { return "https://10.0.0.1" })
		a := source{wire.Services, "shop"}
		h.report(a, errors.New("dial: refused"))
		for range 4 {
			h.report(a, &statusError{code: 403})
			time.Sleep(5 * time.Second)
		}
		h.report(a, nil)
		for _, message := range []string{"API server unreachable", "API server forbids a list", "API server reachable", "API server allows the list"} {
			if got := strings.Count(logs.String(), `msg="`+message); got != 1 {
				t.Errorf("%q is logged %d times, want once", message, got)
			}
		}
	})
}
