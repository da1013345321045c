// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/config"
)

// debianUnit is what of Debian's haproxy.service is of meaning here.
const debianUnit = `[Unit]
Description=HAProxy Load Balancer

[Service]
EnvironmentFile=-/etc/default/haproxy
EnvironmentFile=-/etc/sysconfig/haproxy
Environment="CONFIG=/etc/haproxy/haproxy.cfg" "PIDFILE=/run/haproxy.pid" "EXTRAOPTS=-S /run/haproxy-master.sock"
ExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -p $PIDFILE $EXTRAOPTS
ExecReload=/usr/sbin/haproxy -Ws -f $CONFIG -c -q $EXTRAOPTS
Type=notify
`

const debianConfig = `global
	stats socket /run/haproxy/admin.sock mode 660 level admin
	user haproxy
`

// machine is a Debian with HAProxy, in a folder. A file with empty text is taken
// away.
type machine struct {
	*Host
	t        *testing.T
	commands []string // that were run
}

func newMachine(t *testing.T, files map[string]string) *machine {
	m := &machine{t: t}
	m.Host = &Host{
		Root: t.TempDir(),
		Run: func(_ context.Context, name string, args ...string) error {
			m.commands = append(m.commands, strings.Join(append([]string{name}, args...), " "))
			return nil
		},
		Check: func(context.Context, *config.Config) error { return nil },
	}
	m.write(map[string]string{
		"/lib/systemd/system/haproxy.service": debianUnit,
		"/etc/haproxy/haproxy.cfg":            debianConfig,
		"/etc/default/haproxy":                "# Add extra flags here\n#EXTRAOPTS=\"-de -m 16\"\n",
		"/proc/self/net/tcp":                  "  sl  local_address\n",
		"/run/systemd/system/.":               "",
		"/var/lib/podgate/haproxy/.":          "",
	})
	m.write(files)
	return m
}

func (m *machine) write(files map[string]string) {
	m.t.Helper()
	for name, text := range files {
		path := m.path(name)
		if strings.HasSuffix(name, "/.") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				m.t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
}

// runs has HAProxy run with those words.
func (m *machine) runs(words ...string) {
	m.write(map[string]string{
		"/run/haproxy.pid":   "77\n",
		"/proc/77/cmdline":   strings.Join(append([]string{"/usr/sbin/haproxy", "-Ws"}, words...), "\x00") + "\x00",
		"/proc/77/comm":      "haproxy\n",
		"/proc/self/net/tcp": "  sl  local_address\n",
	})
}

func (m *machine) session() (*Session, *strings.Builder, *strings.Builder) {
	out, errs := new(strings.Builder), new(strings.Builder)
	return &Session{m.Host, out, errs}, out, errs
}

const dropinPath = "/etc/systemd/system/haproxy.service.d/podgate.conf"

func TestTheDropinOfAFreshDebianIsThePackagedOne(t *testing.T) {
	want, err := os.ReadFile("../../systemd/haproxy.service.d/podgate.conf")
	if err != nil {
		t.Fatal(err)
	}
	s, out, _ := newMachine(t, nil).session()
	if err := s.Print(t.Context(), config.Default()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPlan(t *testing.T) {
	const ours = "-S /run/haproxy/master.sock,mode,660,group,haproxy -f /var/lib/podgate/haproxy"
	for _, row := range []struct {
		name     string
		files    map[string]string
		options  string   // of the drop-in; "" for none
		problems []string // what each contains
		notes    []string
	}{
		{"words of other drop-ins are kept",
			map[string]string{"/etc/systemd/system/haproxy.service.d/override.conf": "[Service]\nEnvironment=\"EXTRAOPTS=-S /run/own.sock -de\"\n"},
			"-S /run/own.sock -de " + ours, nil, nil},
		{"an older drop-in of ours does not count",
			map[string]string{dropinPath: "[Service]\nEnvironment=\"EXTRAOPTS=-old\"\n"},
			"-S /run/haproxy-master.sock " + ours, nil, nil},
		{"a drop-in of the same name in a weaker folder does not hold",
			map[string]string{
				"/usr/lib/systemd/system/haproxy.service.d/a.conf": "[Service]\nEnvironment=EXTRAOPTS=-weak\n",
				"/etc/systemd/system/haproxy.service.d/a.conf":     "[Service]\nEnvironment=EXTRAOPTS=-strong\n",
			}, "-strong " + ours, nil, nil},
		{"a file of the environment wins over every drop-in",
			map[string]string{"/etc/default/haproxy": "# extra flags\nEXTRAOPTS=\"-de\"\n"}, "",
			[]string{"/etc/default/haproxy:2: EXTRAOPTS is read after every drop-in and wins: add to its value: " + ours}, nil},
		{"where it has the words, nothing is needed",
			map[string]string{"/etc/default/haproxy": "EXTRAOPTS=\"" + ours + "\"\n"}, "", nil, nil},
		{"what it lacks is told",
			map[string]string{"/etc/default/haproxy": "EXTRAOPTS=\"-f /var/lib/podgate/haproxy/\"\n"}, "",
			[]string{"add to its value: -S /run/haproxy/master.sock,mode,660,group,haproxy"}, nil},
		{"another file than podgate checks is told",
			map[string]string{"/etc/default/haproxy": "CONFIG=/etc/haproxy/edge.cfg\n"}, "-S /run/haproxy-master.sock " + ours,
			[]string{`/etc/default/haproxy:1 has HAProxy load ["/etc/haproxy/edge.cfg"], and podgate would check ["/etc/haproxy/haproxy.cfg"]: set haproxy.config in podgate.toml to ["/etc/haproxy/edge.cfg"]`}, nil},
		{"a service that takes no options is told",
			map[string]string{"/etc/systemd/system/haproxy.service.d/a.conf": "[Service]\nExecStart=\nExecStart=/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg\n"}, "",
			[]string{"ExecStart of haproxy.service does not take $EXTRAOPTS: add to it: " + ours}, nil},
		{"a service without a master is told",
			map[string]string{"/etc/systemd/system/haproxy.service.d/a.conf": "[Service]\nExecStart=/usr/sbin/haproxy -D -f $CONFIG $EXTRAOPTS\n"}, "-S /run/haproxy-master.sock " + ours,
			[]string{"without -Ws"}, nil},
		{"a frontend on podgate's port is told with its line",
			map[string]string{"/etc/haproxy/haproxy.cfg": debianConfig + "frontend web\n\tbind 127.0.0.1:8080,*:80 # mine\n"}, "-S /run/haproxy-master.sock " + ours,
			[]string{"/etc/haproxy/haproxy.cfg:5: bind *:80, and podgate.toml has 0.0.0.0:80: HAProxy would give each of the two a part of the connections"}, nil},
		{"a range of ports, and every IPv6 address, take podgate's port too",
			map[string]string{"/etc/haproxy/haproxy.cfg": debianConfig + "frontend web\n\tbind 10.0.0.1:79-81\n\tbind :::80\n\tbind :::80 v6only\n"}, "-S /run/haproxy-master.sock " + ours,
			[]string{"haproxy.cfg:5: bind 10.0.0.1:79-81", "haproxy.cfg:6: bind :::80"}, nil},
		{"frontends elsewhere are nobody's business",
			map[string]string{"/etc/haproxy/haproxy.cfg": debianConfig + "frontend web\n\tbind *:8080\n\tbind /run/web.sock\n\tbind ${IP}:80\n\t# bind *:80\n"}, "-S /run/haproxy-master.sock " + ours, nil, nil},
		{"what is not quite right is a note",
			map[string]string{"/etc/haproxy/haproxy.cfg": "global\n\tmaxconn 4000\n"}, "-S /run/haproxy-master.sock " + ours, nil,
			[]string{"/etc/haproxy/haproxy.cfg:2: with maxconn", `no "stats socket /run/haproxy/admin.sock`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := newMachine(t, row.files).Plan(t.Context(), config.Default())
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if row.options != "" {
				want = fmt.Sprintf(dropinText, "EXTRAOPTS", row.options)
			}
			if diff := cmp.Diff(want, p.Dropin); diff != "" {
				t.Errorf("drop-in (-want +got)\n%s", diff)
			}
			contains(t, "problem", p.Problems, row.problems)
			contains(t, "note", p.Notes, row.notes)
		})
	}
}

// contains holds that there are as many as wanted, each with its text.
func contains(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%ss: got %q, want %q", what, got, want)
		return
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("%s: got %q, want %q in it", what, got[i], want[i])
		}
	}
}

func TestAPortThatAnotherProcessHasIsTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := config.Default()
	c.HTTP.Binds = []netip.AddrPort{l.Addr().(*net.TCPAddr).AddrPort()}
	m := newMachine(t, nil)
	// What this process has open, on a machine where it is the only one.
	self := m.path("/proc/" + strconv.Itoa(os.Getpid()))
	for from, to := range map[string]string{"net/tcp": m.path("/proc/self/net/tcp"), "comm": self + "/comm"} {
		text, err := os.ReadFile("/proc/self/" + from)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/proc/self/fd", self+"/fd"); err != nil {
		t.Fatal(err)
	}
	p, err := m.Plan(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("(process %d) listens on %s, and podgate.toml has %[2]s: move one of them", os.Getpid(), l.Addr())
	contains(t, "problem", p.Problems, []string{want})
}

// TestAReloadIsNotTakenForAStop: a restart would follow, which cuts connections.
func TestAReloadIsNotTakenForAStop(t *testing.T) {
	ours := []string{"-S", "/run/haproxy/master.sock,mode,660,group,haproxy", "-f", "/var/lib/podgate/haproxy"}
	for _, tt := range []struct {
		name    string
		during  map[string]string // as long as length
		length  time.Duration
		running bool
	}{
		{"the pid file is yet to be written", map[string]string{"/run/haproxy.pid": ""}, 50 * time.Millisecond, true},
		{"the master starts its program anew", map[string]string{"/proc/77/cmdline": ""}, 50 * time.Millisecond, true},
		{"the pid file is of a process that is gone", map[string]string{"/run/haproxy.pid": "78\n"}, time.Hour, false},
		{"the process is another program", map[string]string{"/proc/77/cmdline": "/usr/sbin/cron\x00"}, time.Hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t, nil)
				m.runs(ours...)
				m.write(tt.during)
				over := time.AfterFunc(tt.length, func() { m.runs(ours...) })
				defer over.Stop()
				p, err := m.Plan(t.Context(), config.Default())
				if err != nil {
					t.Fatal(err)
				}
				if p.Running != tt.running || p.Loaded != tt.running {
					t.Errorf("HAProxy runs: %t, with podgate's folder: %t; want %t", p.Running, p.Loaded, tt.running)
				}
			})
		})
	}
}

func TestSetupDoesWhatItSaysAndNoMore(t *testing.T) {
	m := newMachine(t, nil)
	c := config.Default()
	m.runs("-f", "/etc/haproxy/haproxy.cfg", "-S", "/run/haproxy-master.sock")

	s, out, errs := m.session()
	if done, err := s.Check(t.Context(), c); done || err != nil {
		t.Errorf("check before: %v, %v", done, err)
	}
	wantErrs := `to do: write /etc/systemd/system/haproxy.service.d/podgate.conf, and run systemctl daemon-reload
to do: HAProxy runs without it yet: systemctl restart haproxy, which cuts its connections, once
`
	if diff := cmp.Diff(wantErrs, errs.String()); diff != "" || out.String() != "" {
		t.Errorf("check (-want +got)\n%s%s", diff, out)
	}

	for _, want := range []string{`wrote /etc/systemd/system/haproxy.service.d/podgate.conf
ran systemctl daemon-reload
HAProxy runs without it yet: systemctl restart haproxy, which cuts its connections, once
`, `HAProxy runs without it yet: systemctl restart haproxy, which cuts its connections, once
`} {
		s, out, errs = m.session()
		if err := s.Do(t.Context(), c, false); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" || errs.String() != "" {
			t.Errorf("(-want +got)\n%s%s", diff, errs)
		}
	}

	s, out, _ = m.session()
	if err := s.Do(t.Context(), c, true); err != nil {
		t.Fatal(err)
	}
	m.runs("-f", "/etc/haproxy/haproxy.cfg", "-S", "/run/haproxy/master.sock,mode,660,group,haproxy", "-f", "/var/lib/podgate/haproxy")
	if err := s.Do(t.Context(), c, true); err != nil {
		t.Fatal(err)
	}
	want := "ran systemctl restart haproxy.service\nHAProxy runs with podgate's folder and master CLI\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("restart (-want +got)\n%s", diff)
	}
	s, _, errs = m.session()
	if done, err := s.Check(t.Context(), c); !done || err != nil || errs.String() != "" {
		t.Errorf("check after: %v, %v, %s", done, err, errs)
	}

	older := strings.ReplaceAll(fmt.Sprintf(dropinText, "EXTRAOPTS", "-S /run/haproxy-master.sock -S /run/haproxy/master.sock,mode,660,group,haproxy -f /var/lib/podgate/haproxy"), "# ", "# before: ")
	m.write(map[string]string{dropinPath: older})
	s, _, errs = m.session()
	if done, err := s.Check(t.Context(), c); !done || err != nil || errs.String() != "" {
		t.Errorf("check of a drop-in with other comments: %v, %v, %s", done, err, errs)
	}

	s, out, _ = m.session()
	if err := s.Undo(t.Context(), c, false); err != nil {
		t.Fatal(err)
	}
	want = `removed /etc/systemd/system/haproxy.service.d/podgate.conf
ran systemctl daemon-reload
HAProxy serves on as it was started; "systemctl restart haproxy" ends what podgate set up
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("undo (-want +got)\n%s", diff)
	}
	if _, err := os.Stat(m.path("/etc/systemd/system/haproxy.service.d")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of drop-ins is left: %v", err)
	}
	wantCommands := []string{"systemctl daemon-reload", "systemctl restart haproxy.service", "systemctl daemon-reload"}
	if diff := cmp.Diff(wantCommands, m.commands); diff != "" {
		t.Errorf("commands (-want +got)\n%s", diff)
	}
}

func TestNothingIsChangedWhileThereIsAProblem(t *testing.T) {
	m := newMachine(t, nil)
	m.Host.Check = func(context.Context, *config.Config) error { return errors.New("haproxy -c says no") }
	s, out, errs := m.session()
	if err := s.Do(t.Context(), config.Default(), true); err == nil || out.String() != "" || errs.String() != "haproxy -c says no\n" {
		t.Errorf("got %v, %q, %q", err, out, errs)
	}
	if _, err := os.Stat(m.path(dropinPath)); !errors.Is(err, os.ErrNotExist) || len(m.commands) > 0 {
		t.Errorf("drop-in: %v, commands: %q", err, m.commands)
	}
}
