// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answering returns an asker with a reply to each command.
func answering(replies ...string) asker {
	return func(_ context.Context, _ []string, each func(int, []byte) error) error {
		for i, reply := range replies {
			if err := eachLine(reply, func(_ int, line []byte) error { return each(i, line) }); err != nil {
				return err
			}
		}
		return nil
	}
}

// states returns a reply to "show servers state" with one server for each port.
func states(backend string, ports ...int) string {
	reply := "1\n# be_id be_name\n"
	for i, port := range ports {
		reply += fmt.Sprintf("1 %s %d 10.0.0.1:%d 10.0.0.1 2 0 1 1 100 6 3 4 6 0 0 0 - %d - 0 0 - - 0\n", backend, i, port, port)
	}
	return reply
}

func TestTheServersOfSeveralBackendsAreReadInOneLine(t *testing.T) {
	for _, row := range []struct {
		name    string
		replies []string
		want    map[string]int // number of servers by backend
		err     string
	}{
		{"each backend has its servers", []string{states("a", 1, 2), states("b", 3)}, map[string]int{"a": 2, "b": 1}, ""},
		{"a backend without servers has none", []string{states("a"), states("b", 3)}, map[string]int{"b": 1}, ""},
		{"the first backend does not exist", []string{noBackend, states("b", 3)}, map[string]int{"b": 1}, ""},
		{"the last backend does not exist", []string{states("a", 1), noBackend}, map[string]int{"a": 1}, ""},
		{"the first reply is empty", []string{"", states("b", 3)}, nil, `1 of 2 commands "show servers state" have an empty reply`},
		{"the last reply is empty", []string{states("a", 1), ""}, nil, `1 of 2 commands "show servers state" have an empty reply`},
		{"both replies are empty", []string{"", ""}, nil, `2 of 2 commands "show servers state" have an empty reply`},
		{"a reply has another format", []string{states("a", 1), "2\n"}, nil, `show b: got "2", want version 1 of the format`},
	} {
		t.Run(row.name, func(t *testing.T) {
			o, err := askServers(t.Context(), answering(row.replies...), []string{"show a", "show b"})
			if row.err != "" {
				if err == nil || err.Error() != row.err {
					t.Errorf("error %v, want %q", err, row.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			for _, backend := range slices.Sorted(maps.Keys(o.Servers)) {
				got[backend] = len(o.Servers[backend])
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("servers (-want +got):\n%s", diff)
			}
		})
	}
}
