// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"podgate/daemon/admin"
)

// heading is the line above the numbers of row. It fits a terminal of 80 columns.
const heading = "   time requests failed endpoint changes Services added runtime applies reloads"

func row(c count) string {
	return fmt.Sprintf("%7s %8d %6d %16d %14d %15d %7d",
		clock(c.elapsed), c.Sent, c.Failed, c.endpoints, c.services, c.applies, c.reloads)
}

// clock prints d as 0:07 or 1:02:03.
func clock(d time.Duration) string {
	s := int(d.Seconds())
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// screen prints events, line by line, and the numbers below them: in place on a
// terminal, else as a new line each time. Its methods may be called concurrently.
type screen struct {
	tally *tally
	width func() int // of the terminal; zero if out is not a terminal

	mu       sync.Mutex
	out      io.Writer
	numbers  bool // whether they are shown
	headings bool // whether the heading was printed; used without a terminal
}

// newScreen prints to out. Errors of writing are ignored.
func newScreen(out io.Writer, t *tally) *screen {
	return &screen{out: out, tally: t, width: func() int { return admin.TerminalWidth(out) }}
}

// interval is how often the numbers are shown again.
func (s *screen) interval() time.Duration {
	if s.width() > 0 {
		return 250 * time.Millisecond
	}
	return 5 * time.Second
}

// On a terminal the cursor stays at the beginning of the row of numbers, so that
// the ^C that the terminal prints moves nothing.
const (
	toHeading = "\x1b[A"
	eraseLine = "\x1b[K"
	eraseRest = "\x1b[J"
)

// print prints text above the numbers.
func (s *screen) print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	width := s.width()
	if !s.numbers || width == 0 {
		_, _ = io.WriteString(s.out, text)
		return
	}
	_, _ = io.WriteString(s.out, toHeading+eraseRest+text+s.block(width))
}

// event prints an event with its time.
func (s *screen) event(text string) {
	s.print(fmt.Sprintf("%7s %s\n", clock(s.tally.now().elapsed), text))
}

// show shows the numbers as they are now.
func (s *screen) show() {
	s.mu.Lock()
	defer s.mu.Unlock()
	width := s.width()
	switch {
	case width == 0 && !s.headings:
		s.headings = true
		_, _ = io.WriteString(s.out, heading+"\n"+row(s.tally.now())+"\n")
	case width == 0:
		_, _ = io.WriteString(s.out, row(s.tally.now())+"\n")
	case s.numbers:
		_, _ = io.WriteString(s.out, toHeading+s.block(width))
	default:
		_, _ = io.WriteString(s.out, s.block(width))
	}
	s.numbers = true
}

// end removes the numbers from a terminal.
func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.numbers && s.width() > 0 {
		_, _ = io.WriteString(s.out, toHeading+eraseRest)
	}
	s.numbers = false
}

// block is heading and numbers, no line so long that the terminal would wrap it.
func (s *screen) block(width int) string {
	return cut(heading, width-1) + eraseLine + "\n" + cut(row(s.tally.now()), width-1) + eraseLine + "\r"
}

// cut returns the first columns of an ASCII text.
func cut(text string, columns int) string { return text[:min(len(text), max(0, columns))] }

// Write prints the lines of podgate's log as events. slog writes whole lines in
// each call.
func (s *screen) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		s.event("podgate: " + strings.TrimSpace(line))
	}
	return len(p), nil
}
