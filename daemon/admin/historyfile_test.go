// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHistoryIsKeptOverARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.json")
	f := historyFile{path: path}
	if changes, err := f.load(); changes != nil || err != nil {
		t.Errorf("without a file: %v, %v", changes, err)
	}
	var want []*Change
	for i := range MostChanges + 5 {
		want = append(want, &Change{At: time.Unix(int64(i), 0).UTC(), Service: "shop/cart", What: fmt.Sprint(i), How: ByReload, Why: `a "reason"`, Waited: Seconds(1500 * time.Millisecond)})
	}
	if err := f.save(want); err != nil {
		t.Fatal(err)
	}
	again := historyFile{path: path}
	got, err := again.load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[5:], got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("other files: %v, %v", left, err)
	}
}

func TestInvalidLinesOfAHistoryAreIgnored(t *testing.T) {
	good := `{"at":"2026-01-02T03:04:05Z","what":"one","how":"runtime"}` + "\n"
	for _, row := range []struct {
		name, text string
		want       int
		wantErr    string
	}{
		{"a line that was cut", good + `{"at":"2026-01-02T03:04`, 1, "1 invalid lines are ignored"},
		{"noise", "\x00\x01\x02\n" + good + "[]\n{}\nnull\n", 1, "4 invalid lines are ignored"},
		{"nothing", "", 0, ""},
		{"megabytes of something", strings.Repeat("x", 5<<20), 0, "5242880 bytes are too many for a history, a new one is started"},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history.json")
			if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
			f := historyFile{path: path}
			got, err := f.load()
			gotErr := ""
			if err != nil {
				gotErr = strings.TrimPrefix(err.Error(), path+": ")
			}
			if len(got) != row.want || gotErr != row.wantErr {
				t.Errorf("got %d changes, error %q, want %d, %q", len(got), gotErr, row.want, row.wantErr)
			}
			if err := f.save([]*Change{{At: time.Unix(1, 0), What: "next"}}); err != nil {
				t.Errorf("it cannot be written again: %v", err)
			}
		})
	}
}
