// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/edgetest"
)

func TestNumbersAreAlignedWithTheirHeading(t *testing.T) {
	few := count{elapsed: 7 * time.Second}
	many := count{
		Report:  edgetest.Report{Sent: 98_765_432, Failed: 123_456},
		elapsed: 9*time.Hour + time.Minute, endpoints: 1_234_567,
		services: 54_321, applies: 765_432, reloads: 54_321,
	}
	for _, c := range []count{few, many} {
		if got := row(c); len(got) != len(heading) {
			t.Errorf("row is %d columns wide, the heading %d:\n%s\n%s", len(got), len(heading), heading, got)
		}
	}
	if len(heading) > 79 {
		t.Errorf("the heading is %d columns wide and fills a terminal of 80", len(heading))
	}
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                          "0:00",
		59999 * time.Millisecond:   "0:59",
		10 * time.Minute:           "10:00",
		time.Hour + 62*time.Second: "1:01:02",
	} {
		if got := clock(d); got != want {
			t.Errorf("clock(%v) = %q, want %q", d, got, want)
		}
	}
}

const (
	headingBefore = "   time requests failed endpoint changes Services added runtime applies reloads"
	numbersBefore = "   0:00        0      0                0              0               0       0"
	numbersAfter  = "   0:00        1      0                0              0               0       0"
)

func TestScreenRewritesATerminalInPlace(t *testing.T) {
	out := new(strings.Builder)
	tally := new(tally)
	s := newScreen(out, tally)
	s.width = func() int { return 80 }
	s.print("header\n")
	s.show()
	tally.report = func() edgetest.Report { return edgetest.Report{Sent: 1} }
	s.show()
	s.event("something")
	s.end()
	s.print("summary\n")

	want := "header\n" +
		headingBefore + "\x1b[K\n" + numbersBefore + "\x1b[K\r" +
		"\x1b[A" + headingBefore + "\x1b[K\n" + numbersAfter + "\x1b[K\r" +
		"\x1b[A\x1b[J" + "   0:00 something\n" + headingBefore + "\x1b[K\n" + numbersAfter + "\x1b[K\r" +
		"\x1b[A\x1b[J" + "summary\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestScreenNeverFillsANarrowTerminal(t *testing.T) {
	out := new(strings.Builder)
	s := newScreen(out, new(tally))
	s.width = func() int { return 20 }
	s.show()
	want := "   time requests fa\x1b[K\n   0:00        0   \x1b[K\r"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestScreenPrintsLinesElsewhere(t *testing.T) {
	out := new(strings.Builder)
	tally := new(tally)
	s := newScreen(out, tally)
	s.show()
	s.event("something")
	tally.report = func() edgetest.Report { return edgetest.Report{Sent: 1} }
	s.show()
	s.end()
	want := headingBefore + "\n" + numbersBefore + "\n   0:00 something\n" + numbersAfter + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestScreenPrintsPodgatesLogAsEvents(t *testing.T) {
	out := new(strings.Builder)
	s := newScreen(out, new(tally))
	if _, err := s.Write([]byte("level=WARN msg=\"drift found\"\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "   0:00 podgate: level=WARN msg=\"drift found\"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
