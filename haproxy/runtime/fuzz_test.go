// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bufio"
	"encoding/csv"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"podgate/haproxy"
)

// FuzzReplies asserts that no reply of HAProxy, whole or cut, makes a reader of
// it panic, and that none becomes something that HAProxy did not say.
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
			t.Errorf("a process without id, or a strange generation: %+v", p)
		}
		o := newObserved()
		if o.parse(reply) == nil {
			o.sort()
			for backend, servers := range o.Servers {
				for _, s := range servers {
					if !strings.Contains(reply, s.Name()) || !strings.Contains(reply, backend) {
						t.Errorf("%s/%s is made up", backend, s.Name())
					}
				}
			}
		}
		if entries, err := parseMap(reply); err == nil && !slices.IsSortedFunc(entries, compareKeys) {
			t.Errorf("not sorted: %q", entries)
		}
		if file := newStateFile(want); eachLine(reply, file.line) == nil {
			for line := range strings.Lines(file.text.String()) {
				words := strings.Fields(line)
				if len(words) > columnPort && line[0] != '#' && words[columnBackend] == "shop_cart_80" && words[columnServer] != "10.0.0.1:80" {
					t.Errorf("HAProxy is told of a server that is not wanted: %q", line)
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

// checkStat asserts that what is read of a column is in the reply, and that it is
// what a reader of CSV reads of a reply that is one.
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

// checkReplies asserts that n commands are answered only by a reply that has the
// line of the separator before, between and after theirs.
func checkReplies(t *testing.T, reply string, n int, interactive bool) {
	c := connection{Conn: deafConn{}, from: bufio.NewReaderSize(strings.NewReader(reply), 16), interactive: interactive}
	var lines int
	err := c.ask(t.Context(), "", n, func(command int, line []byte) error {
		if lines++; command >= n || len(line) == 0 || !strings.Contains(reply, string(line)) {
			t.Errorf("command %d of %d is answered with %q", command, n, line)
		}
		return nil
	})
	if err == nil && strings.Count(reply, "\n") < n+1+lines {
		t.Errorf("%q answers %d commands with %d lines", reply, n, lines)
	}
}

// deafConn takes everything that is written to it.
type deafConn struct{ net.Conn }

func (deafConn) Write(text []byte) (int, error) { return len(text), nil }
func (deafConn) SetDeadline(time.Time) error    { return nil }
