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

// debianUnit is the part of Debian's haproxy.service that setup reads.
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

// machine is a Debian with HAProxy, in a folder.
type machine struct {
	*Host
	t         *testing.T
	out, errs strings.Builder
	commands  []string // that were run
}

func newMachine(t *testing.T, files map[string]string) *machine {
	m := &machine{t: t}
	m.Host = &Host{
		Out: &m.out, Err: &m.errs,
		Root: t.TempDir(),
		Run: func(_ context.Context, name string, args ...string) error {
			m.commands = append(m.commands, strings.Join(append([]string{name}, args...), " "))
			return nil
		},
		Validate: func(context.Context, *config.Config) error { return nil },
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

// runs starts HAProxy with these options.
func (m *machine) runs(words ...string) {
	m.write(map[string]string{
		"/run/haproxy.pid":   "77\n",
		"/proc/77/cmdline":   strings.Join(append([]string{"/usr/sbin/haproxy", "-Ws"}, words...), "\x00") + "\x00",
		"/proc/77/comm":      "haproxy\n",
		"/proc/self/net/tcp": "  sl  local_address\n",
	})
}

// printed checks what was written to Out and Err since the last call.
func (m *machine) printed(what, wantOut, wantErrs string) {
	m.t.Helper()
	if diff := cmp.Diff([]string{wantOut, wantErrs}, []string{m.out.String(), m.errs.String()}); diff != "" {
		m.t.Errorf("%s (-want +got)\n%s", what, diff)
	}
	m.out.Reset()
	m.errs.Reset()
}

const dropinPath = "/etc/systemd/system/haproxy.service.d/podgate.conf"

func TestTheDropinOfAFreshDebianIsThePackagedOne(t *testing.T) {
	want, err := os.ReadFile("../../systemd/haproxy.service.d/podgate.conf")
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, nil)
	if err := m.Print(t.Context(), config.Default()); err != nil {
		t.Fatal(err)
	}
	m.printed("the drop-in", string(want), `to do: write /etc/systemd/system/haproxy.service.d/podgate.conf, and run systemctl daemon-reload
to do: HAProxy does not run: systemctl start haproxy
`)
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
		{"options of other drop-ins are kept",
			map[string]string{"/etc/systemd/system/haproxy.service.d/override.conf": "[Service]\nEnvironment=\"EXTRAOPTS=-S /run/own.sock -de\"\n"},
			"-S /run/own.sock -de " + ours, nil, nil},
		{"an older drop-in of podgate is ignored",
			map[string]string{dropinPath: "[Service]\nEnvironment=\"EXTRAOPTS=-old\"\n"},
			"-S /run/haproxy-master.sock " + ours, nil, nil},
		{"a drop-in hides one of the same name in a later folder",
			map[string]string{
				"/usr/lib/systemd/system/haproxy.service.d/a.conf": "[Service]\nEnvironment=EXTRAOPTS=-weak\n",
				"/etc/systemd/system/haproxy.service.d/a.conf":     "[Service]\nEnvironment=EXTRAOPTS=-strong\n",
			}, "-strong " + ours, nil, nil},
		{"an EnvironmentFile overrides every drop-in",
			map[string]string{"/etc/default/haproxy": "# extra flags\nEXTRAOPTS=\"-de\"\n"}, "",
			[]string{"/etc/default/haproxy:2: EXTRAOPTS overrides every drop-in: add to its value: " + ours}, nil},
		{"no drop-in is needed if an EnvironmentFile has the options",
			map[string]string{"/etc/default/haproxy": "EXTRAOPTS=\"" + ours + "\"\n"}, "", nil, nil},
		{"an option that an EnvironmentFile lacks is reported",
			map[string]string{"/etc/default/haproxy": "EXTRAOPTS=\"-f /var/lib/podgate/haproxy/\"\n"}, "",
			[]string{"add to its value: -S /run/haproxy/master.sock,mode,660,group,haproxy"}, nil},
		{"a configuration file that podgate would not validate is reported",
			map[string]string{"/etc/default/haproxy": "CONFIG=/etc/haproxy/edge.cfg\n"}, "-S /run/haproxy-master.sock " + ours,
			[]string{`/etc/default/haproxy:1 has HAProxy load ["/etc/haproxy/edge.cfg"], but podgate would validate ["/etc/haproxy/haproxy.cfg"]: set haproxy.config in podgate.toml to ["/etc/haproxy/edge.cfg"]`}, nil},
		{"a service without a variable for options is reported",
			map[string]string{"/etc/systemd/system/haproxy.service.d/a.conf": "[Service]\nExecStart=\nExecStart=/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg\n"}, "",
			[]string{"ExecStart of haproxy.service does not use $EXTRAOPTS: add to it: " + ours}, nil},
		{"a service without a master process is reported",
			map[string]string{"/etc/systemd/system/haproxy.service.d/a.conf": "[Service]\nExecStart=/usr/sbin/haproxy -D -f $CONFIG $EXTRAOPTS\n"}, "-S /run/haproxy-master.sock " + ours,
			[]string{"without -Ws"}, nil},
		{"a frontend on podgate's port is reported with its line",
			map[string]string{"/etc/haproxy/haproxy.cfg": debianConfig + "frontend web\n\tbind 127.0.0.1:8080,*:80 # mine\n"}, "-S /run/haproxy-master.sock " + ours,
			[]string{"/etc/haproxy/haproxy.cfg:5: bind *:80, and podgate.toml has 0.0.0.0:80: each of them would receive a part of the connections"}, nil},
		{"ranges of ports and binds to every IPv6 address can conflict, too",
			map[string]string{"/etc/haproxy/haproxy.cfg": debianConfig + "frontend web\n\tbind 10.0.0.1:79-81\n\tbind :::80\n\tbind :::80 v6only\n"}, "-S /run/haproxy-master.sock " + ours,
			[]string{"haproxy.cfg:5: bind 10.0.0.1:79-81", "haproxy.cfg:6: bind :::80"}, nil},
		{"frontends on other addresses and ports are ignored",
			map[string]string{"/etc/haproxy/haproxy.cfg": debianConfig + "frontend web\n\tbind *:8080\n\tbind /run/web.sock\n\tbind ${IP}:80\n\t# bind *:80\n"}, "-S /run/haproxy-master.sock " + ours, nil, nil},
		{"settings that only limit podgate are notes",
			map[string]string{"/etc/haproxy/haproxy.cfg": "global\n\tmaxconn 4000\n"}, "-S /run/haproxy-master.sock " + ours, nil,
			[]string{"/etc/haproxy/haproxy.cfg:2: maxconn limits", `has no "stats socket /run/haproxy/admin.sock`}},
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

// contains checks that there are as many texts as wanted, each with its part.
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

func TestAPortThatAnotherProcessListensOnIsReported(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := config.Default()
	c.HTTP.Binds = []netip.AddrPort{l.Addr().(*net.TCPAddr).AddrPort()}
	m := newMachine(t, nil)
	// The sockets of this process, on a machine without other processes.
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
	want := fmt.Sprintf("(process %d) listens on %s, and podgate.toml has %[2]s: change one of them", os.Getpid(), l.Addr())
	contains(t, "problem", p.Problems, []string{want})
}

// TestAHAProxyThatReloadsRuns: otherwise setup would recommend a restart, which closes
// connections.
func TestAHAProxyThatReloadsRuns(t *testing.T) {
	ours := []string{"-S", "/run/haproxy/master.sock,mode,660,group,haproxy", "-f", "/var/lib/podgate/haproxy"}
	for _, tt := range []struct {
		name    string
		during  map[string]string // files for a duration of length
		length  time.Duration
		running bool
	}{
		{"the pid file is not written yet", map[string]string{"/run/haproxy.pid": ""}, 50 * time.Millisecond, true},
		{"the master executes its program again", map[string]string{"/proc/77/cmdline": ""}, 50 * time.Millisecond, true},
		{"the process in the pid file has ended", map[string]string{"/run/haproxy.pid": "78\n"}, time.Hour, false},
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

func TestApplyAndUndo(t *testing.T) {
	const (
		operator  = "-S /run/haproxy-master.sock"
		podgates  = operator + " -S /run/haproxy/master.sock,mode,660,group,haproxy -f /var/lib/podgate/haproxy"
		wrote     = "wrote /etc/systemd/system/haproxy.service.d/podgate.conf\nran systemctl daemon-reload\n"
		restarted = "ran systemctl restart haproxy.service\n"
		running   = "HAProxy runs with podgate's folder and master CLI\n"
		restart   = "HAProxy runs without the drop-in: systemctl restart haproxy, which closes its connections once\n"
	)
	m := newMachine(t, nil)
	c := config.Default()
	run := func(options string) { m.runs(strings.Fields("-f /etc/haproxy/haproxy.cfg " + options)...) }
	check := func(want bool) {
		if done, err := m.Check(t.Context(), c); done != want || err != nil {
			t.Errorf("check: %v, %v", done, err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	run(operator)
	for _, step := range []struct {
		name      string
		do        func()
		out, errs string
	}{
		{"check reports the steps", func() { check(false) }, "",
			"to do: write /etc/systemd/system/haproxy.service.d/podgate.conf, and run systemctl daemon-reload\nto do: " + restart},
		{"apply writes the drop-in", func() { must(m.Apply(t.Context(), c, false)) }, wrote + restart, ""},
		{"apply again changes nothing", func() { must(m.Apply(t.Context(), c, false)) }, restart, ""},
		{"apply restarts HAProxy if it may", func() { must(m.Apply(t.Context(), c, true)) }, restarted, ""},
		{"apply does not restart it again", func() { run(podgates); must(m.Apply(t.Context(), c, true)) }, running, ""},
		{"check has no step left", func() { check(true) }, "", ""},
		{"a drop-in with other comments is accepted", func() {
			m.write(map[string]string{dropinPath: strings.ReplaceAll(fmt.Sprintf(dropinText, "EXTRAOPTS", podgates), "# ", "# before: ")})
			check(true)
		}, "", ""},
		{"undo removes the drop-in", func() { must(m.Undo(t.Context(), c, false)) },
			"removed /etc/systemd/system/haproxy.service.d/podgate.conf\nran systemctl daemon-reload\n" +
				"HAProxy still runs with the drop-in's options until \"systemctl restart haproxy\"\n", ""},
	} {
		step.do()
		m.printed(step.name, step.out, step.errs)
	}
	if _, err := os.Stat(m.path("/etc/systemd/system/haproxy.service.d")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of drop-ins still exists: %v", err)
	}
	wantCommands := []string{"systemctl daemon-reload", "systemctl restart haproxy.service", "systemctl daemon-reload"}
	if diff := cmp.Diff(wantCommands, m.commands); diff != "" {
		t.Errorf("commands (-want +got)\n%s", diff)
	}
}

func TestNothingIsChangedWhileThereIsAProblem(t *testing.T) {
	m := newMachine(t, nil)
	m.Validate = func(context.Context, *config.Config) error { return errors.New("haproxy -c rejects line 7") }
	if err := m.Apply(t.Context(), config.Default(), true); err == nil {
		t.Error("no error")
	}
	m.printed("apply", "", "haproxy -c rejects line 7\n")
	if _, err := os.Stat(m.path(dropinPath)); !errors.Is(err, os.ErrNotExist) || len(m.commands) > 0 {
		t.Errorf("drop-in: %v, commands: %q", err, m.commands)
	}
}
