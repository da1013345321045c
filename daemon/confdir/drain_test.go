// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhenADrainExpires(t *testing.T) {
	now := time.Now()
	for _, row := range []struct {
		name  string
		drain Drain
		want  bool
	}{
		{"a drain without an end does not", Drain{Since: now.Add(-time.Hour)}, false},
		{"a drain until later does not yet", Drain{Since: now, Until: now.Add(time.Second)}, false},
		{"a drain until now does", Drain{Since: now, Until: now}, true},
		{"a drain until the next boot does not before it", Drain{Since: now, UntilBoot: true}, false},
		{"a drain until a boot that has happened does", Drain{Since: booted(now).Add(-time.Minute), UntilBoot: true}, true},
	} {
		if got := row.drain.Expired(now); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

func TestDrainFile(t *testing.T) {
	d := Dir(t.TempDir())
	if _, draining := d.ReadDrain(); draining {
		t.Error("the node drains without a file")
	}
	want := Drain{Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), UntilBoot: true}
	must(t, d.WriteDrain(want))
	got, draining := d.ReadDrain()
	if diff := cmp.Diff(want, got); diff != "" || !draining {
		t.Errorf("draining %v (-want +got):\n%s", draining, diff)
	}
	must(t, os.WriteFile(d.Path(drainFile), []byte("nonsense"), 0o600))
	if got, draining := d.ReadDrain(); !draining || got != (Drain{}) {
		t.Errorf("a damaged file: draining %v, %+v", draining, got)
	}
	for range 2 { // the second time there is no file
		if err := d.RemoveDrain(); err != nil {
			t.Error(err)
		}
	}
}
