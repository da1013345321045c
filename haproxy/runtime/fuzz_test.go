// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bufio"
	"context"
	"encoding/csv"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/haproxy"
)

// FuzzReplies asserts that no parser of replies panics, and that the parsers return
// nothing that is not in the reply.
func FuzzReplies(f *testing.F) {
	const row = "1 shop_cart_80 1 10.0.0.1:80 10.0.0.1 2 0 1 1 100 6 3 4 6 0 0 0 - 80 - 0 0 - - 0"
	for _, reply := range []string{
		"", "\n", "1", "1\n", "1\n# be_id be_name\n" + row + "\n", "1\n" + row[:40], "1\n" + row + "\n" + strings.Replace(row, "10.0.0.1:80", "theirs", 1) + "\n",
		"Name: HAProxy\nVersion: 2.6.12\nPid: 12\nUptime_sec: 3\ndescription: x gen=abc y\n", "Pid: -1\n", "Pid: 99999999999999999999",
		"0x55e5afa6b440 a.example.com/x/ shop_cart_80|20002\n0x0 a b c\n0x1", "2.6.12\n\n2.6.12\n\n", "2.6.12\nUnknown command.\n\n2.6.12\n\n",
		"# pxname,svname,status,\nshop_cart_80,\"10.0.0.1:80\",UP,\n", "# a,a\n\"", "Success=0\n--\n[ALERT] x\n",
	} {
		f.Add(reply)
	}
	addr := netip.MustParseAddrPort("10.0.0.1:80")
	want := haproxy.State{Backends: haproxy.ListOf(&haproxy.Backend{Name: "shop_cart_80", Servers: []haproxy.Server{{Addr: addr, State: haproxy.Drain}}})}
	f.Fuzz(func(t *testing.T, reply string) {
		if p, err := parseInfo(reply); err == nil && (p.Pid == 0 || strings.ContainsAny(p.Generation, " \n")) {
			t.Errorf("a process without Pid, or a Generation of several words: %+v", p)
		}
		ask := func(_ context.Context, _ []string, each func(int, []byte) error) error { return eachLine(reply, each) }
		if o, err := askServers(t.Context(), ask, []string{showServers}); err == nil {
			o.sort()
			for backend, servers := range o.Servers {
				for _, s := range servers {
					if !strings.Contains(reply, s.Name()) || !strings.Contains(reply, backend) {
						t.Errorf("%s/%s is not in the reply", backend, s.Name())
					}
				}
			}
		}
		if entries, err := parseMap(reply, false); err == nil && !slices.IsSortedFunc(entries, compareKeys) {
			t.Errorf("not sorted: %q", entries)
		}
		if file := newStateFile(want); eachLine(reply, file.line) == nil {
			for line := range strings.Lines(file.text.String()) {
				words := strings.Fields(line)
				if len(words) > columnPort && line[0] != '#' && words[columnBackend] == "shop_cart_80" && words[columnServer] != "10.0.0.1:80" {
					t.Errorf("the state file contains a server that is not wanted: %q", line)
				}
			}
		}
		checkStat(t, reply)
		for n := range 3 {
			for _, interactive := range []bool{false, true} {
				checkReplies(t, reply, n, interactive)
			}
		}
		_ = alerts(reply)
	})
}

// checkStat asserts that statReader reads the fields that encoding/csv reads.
func checkStat(t *testing.T, reply string) {
	r := statReader{columns: []string{"svname", "last_chk"}}
	for line := range strings.Lines(reply) {
		line = strings.TrimSuffix(line, "\n")
		isRow, err := r.next([]byte(line))
		if err != nil {
			return
		}
		fields, err := csv.NewReader(strings.NewReader(line)).Read()
		if !isRow || err != nil || strings.ContainsAny(line, "\r\n") {
			continue
		}
		for column, at := range r.at {
			if at >= 0 && (at >= len(fields) || string(r.row[column]) != fields[at]) {
				t.Errorf("%q: column %d is %q", line, at, r.row[column])
			}
		}
	}
}

// checkReplies asserts that ask accepts a reply to n commands only if it has the
// separator's line before, between and after the replies.
func checkReplies(t *testing.T, reply string, n int, interactive bool) {
	c := connection{Conn: discardConn{}, from: bufio.NewReaderSize(strings.NewReader(reply), 16), interactive: interactive}
	var lines int
	err := c.ask(t.Context(), "", n, func(command int, line []byte) error {
		if lines++; command >= n || len(line) == 0 || !strings.Contains(reply, string(line)) {
			t.Errorf("command %d of %d has reply %q", command, n, line)
		}
		return nil
	})
	if err == nil && strings.Count(reply, "\n") < n+1+lines {
		t.Errorf("%q is accepted as the reply of %d lines to %d commands", reply, lines, n)
	}
}

// discardConn discards everything that is written to it.
type discardConn struct{ net.Conn }

func (discardConn) Write(text []byte) (int, error) { return len(text), nil }
func (discardConn) SetDeadline(time.Time) error    { return nil }
