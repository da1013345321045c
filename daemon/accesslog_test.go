// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// accessLine is the part of a line of the access log that the tests read.
type accessLine struct {
	Namespace, Service, Port, Pod, Method, Host, URI, Client string
	Status                                                   int
	Time                                                     time.Time
}

// TestTheAccessLogNamesServiceAndClient receives HAProxy's log as syslog does. Both kinds
// of load balancers send the request.
func TestTheAccessLogNamesServiceAndClient(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ cloud, before, header string }{
		"PROXY header":    {"proxy = [\"http\"]\n", proxied, "X-Forwarded-For: 6.6.6.6"},
		"X-Forwarded-For": {"forwarded_hops = 1\n", "", "X-Forwarded-For: 6.6.6.6, 192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			socket := filepath.Join(e.Folder, "log.sock")
			log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
			must(t, err)
			defer log.Close()
			e.logTo(t, socket+" format raw")
			e.configure(t, "[cloud]\ntrusted_sources = [\"127.98.0.0/16\"]\n"+row.cloud)
			p := newPod(t, "cart-0")
			e.service(t, "cart", nil, p)
			e.start(t)
			e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
			const path = `/cart/x?q="y"\z` // which the log must quote
			if got, err := from(listed, e.HTTP, row.before, path, row.header); got != "200 cart-0 /x" {
				t.Fatalf("got %q, %v", got, err)
			}
			var line accessLine
			text := make([]byte, 64<<10)
			eventually(t, "the line of the request", func() error {
				must(t, log.SetReadDeadline(time.Now().Add(time.Second)))
				n, err := log.Read(text)
				if err != nil {
					return err
				}
				if err := json.Unmarshal(text[:n], &line); err != nil || line.URI != path {
					return fmt.Errorf("%w: %s", err, text[:n])
				}
				return nil
			})
			if time.Since(line.Time).Abs() > time.Minute {
				t.Errorf("logged at %s", line.Time)
			}
			line.Time = time.Time{}
			if want := (accessLine{Namespace: "shop", Service: "cart", Port: "80", Pod: p.Addr.String(), Method: "GET", Host: "any", URI: path, Client: "192.0.2.1", Status: 200}); line != want {
				t.Errorf("got %+v, want %+v", line, want)
			}
		})
	}
}

// TestTheAccessLogNamesAServiceOnlyIfOneAnswers has the names of podgate's own frontends and
// backends, and a name by annotation, of which none is that of a Service.
func TestTheAccessLogNamesAServiceOnlyIfOneAnswers(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	socket := filepath.Join(e.Folder, "log.sock")
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	must(t, err)
	defer log.Close()
	e.logTo(t, socket+" format raw")
	e.service(t, "cart", nil, newPod(t, "cart-0"))
	e.service(t, "own", map[string]string{"backend-name": "own_a_b"}, newPod(t, "own-0"))
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 cart-0 /")
	e.awaitAnswer(t, "any", "/own/", "200 own-0 /")
	for path, want := range map[string]string{
		"/cart/x": "shop cart 80 shop_cart_80",
		"/own/x":  "- - - own_a_b",
		"/none":   "- - - podgate_http",
	} {
		_, err := from(listed, e.HTTP, "", path)
		must(t, err)
		text := make([]byte, 64<<10)
		eventually(t, "the line of "+path, func() error {
			must(t, log.SetReadDeadline(time.Now().Add(time.Second)))
			n, err := log.Read(text)
			if err != nil {
				return err
			}
			var line struct{ Namespace, Service, Port, Backend, URI, Time string }
			if err := json.Unmarshal(text[:n], &line); err != nil || line.URI != path {
				return fmt.Errorf("%w: %s", err, text[:n])
			}
			if got := strings.Join([]string{line.Namespace, line.Service, line.Port, line.Backend}, " "); got != want {
				t.Errorf("%s: got %s, want %s", path, got, want)
			}
			if _, err := time.Parse("2006-01-02T15:04:05.000Z", line.Time); err != nil {
				t.Error(err)
			}
			return nil
		})
	}
}

// logTo makes HAProxy log in JSON, to the target of a "log" line in section global.
func (e *edge) logTo(t *testing.T, log string) {
	t.Helper()
	base, err := os.ReadFile(e.HAProxy.Base)
	must(t, err)
	must(t, os.WriteFile(e.HAProxy.Base, []byte(strings.Replace(string(base), "global\n", "global\n  log "+log+" local0\n", 1)), 0o600))
	e.set(t, "haproxy.access_log", "json")
}

const logExamples = "../packaging/examples/logs/"

// TestTheExamplesOfLogsReadTheAccessLog runs a real rsyslog with the example, and parses its
// file by the rules of the examples for Filebeat, Fluent Bit and Fluentd, which Debian
// does not have. Then it rotates the file with the real logrotate and the example.
func TestTheExamplesOfLogsReadTheAccessLog(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	folder := filepath.Dir(e.HAProxy.Base)
	file := filepath.Join(t.TempDir(), "access.json")
	pidFile := e.rsyslog(t, filepath.Join(folder, "syslog.sock"), file)
	e.logTo(t, filepath.Join(folder, "syslog.sock"))
	e.serveCart(t)
	var filebeat struct {
		Inputs []struct {
			Paths      []string
			Parsers    []struct{ NDJSON struct{ Target string } }
			Processors []struct {
				Timestamp struct {
					Field   string
					Layouts []string
				}
			}
		} `json:"filebeat.inputs"`
	}
	var fluent struct {
		Parsers []struct {
			Format     string
			TimeKey    string `json:"time_key"`
			TimeFormat string `json:"time_format"`
		}
		Pipeline struct{ Inputs []struct{ Path string } }
	}
	readExample(t, "filebeat.yml", &filebeat)
	readExample(t, "fluent-bit.yaml", &fluent)
	beat, bit := filebeat.Inputs[0], fluent.Parsers[0]
	if beat.Paths[0] != accessLog || fluent.Pipeline.Inputs[0].Path != accessLog {
		t.Errorf("Filebeat reads %s and Fluent Bit %s, rsyslog writes %s", beat.Paths[0], fluent.Pipeline.Inputs[0].Path, accessLog)
	}
	stamp := beat.Processors[0].Timestamp
	target, beatKey, _ := strings.Cut(stamp.Field, ".")
	if target != beat.Parsers[0].NDJSON.Target || bit.Format != "json" || bit.TimeKey != beatKey {
		t.Errorf("Filebeat has the line in %q and its time in %q, Fluent Bit parses %s", beat.Parsers[0].NDJSON.Target, stamp.Field, bit.Format)
	}
	fluentd, err := os.ReadFile(logExamples + "fluentd.conf")
	must(t, err)
	setting := func(name string) string {
		_, rest, _ := strings.Cut(string(fluentd), "\n"+name+" ")
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
	if path := setting("  path"); path != accessLog || setting("    @type") != "json" || setting("    time_key") != beatKey {
		t.Errorf("Fluentd reads %q, and the time of %q in it", path, setting("    time_key"))
	}
	// The layouts of Fluent Bit and Fluentd have the fields of strptime.
	strptime := strings.NewReplacer("%Y", "2006", "%m", "01", "%d", "02", "%H", "15", "%M", "04", "%S", "05", "%L", "000", "%z", "Z07:00")
	layouts := []string{stamp.Layouts[0], strptime.Replace(bit.TimeFormat), strptime.Replace(setting("    time_format"))}
	eventually(t, "the line of the request", func() error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatalf("not a JSON object: %s: %v", line, err)
			}
			for _, layout := range layouts {
				at, err := time.Parse(layout, fmt.Sprint(fields[beatKey]))
				if err != nil || time.Since(at).Abs() > time.Minute {
					t.Fatalf("%s, read as %s: %v, %v", line, layout, at, err)
				}
			}
			if fields["service"] == "cart" && fields["uri"] == "/cart/" && fields["pod"] != "" && fields["status"] == 200.0 {
				return nil
			}
		}
		return fmt.Errorf("the request is not in\n%s", text)
	})
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), "haproxy[") {
		t.Errorf("syslog's header is in the file: %v\n%s", err, text)
	}
	pid, err := os.ReadFile(pidFile)
	must(t, err)
	rotate(t, file, "kill -HUP "+strings.TrimSpace(string(pid)))
	if got, err := from(listed, e.HTTP, "", "/cart/after"); err != nil || !strings.HasPrefix(got, "200 ") {
		t.Errorf("got %s, %v", got, err)
	}
	eventually(t, "the line of a request after the rotation", func() error {
		text, err := os.ReadFile(file)
		if err == nil && (!strings.Contains(string(text), `\/cart\/after`) || strings.Contains(string(text), `"\/cart\/"`)) {
			err = fmt.Errorf("got\n%s", text)
		}
		return err
	})
	for _, name := range []string{file, file + ".1"} {
		info, err := os.Stat(name)
		must(t, err)
		if info.Mode() != 0o640 {
			t.Errorf("%s has mode %s", name, info.Mode())
		}
	}
}

// rotate runs logrotate with the example, and reopen instead of the command that makes
// rsyslog open the new file.
func rotate(t *testing.T, file, reopen string) {
	t.Helper()
	example, err := os.ReadFile(logExamples + "logrotate.conf")
	must(t, err)
	const command = "systemctl kill -s HUP rsyslog.service"
	if !strings.Contains(string(example), "\n"+accessLog+" {") || !strings.Contains(string(example), command) {
		t.Fatalf("the example does not rotate %s", accessLog)
	}
	folder := t.TempDir()
	conf := filepath.Join(folder, "logrotate.conf")
	must(t, os.WriteFile(conf, []byte(strings.NewReplacer("\n"+accessLog, "\n"+file, command, reopen).Replace(string(example))), 0o600))
	binary := need(t, "/usr/sbin/logrotate", "logrotate") // a folder that is not in every $PATH
	cmd := exec.CommandContext(t.Context(), binary, "-f", "-s", filepath.Join(folder, "state"), conf)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("logrotate: %v\n%s", err, out)
	}
}

// accessLog is the file that the examples name.
const accessLog = "/var/log/haproxy-access.json"

func readExample(t *testing.T, name string, out any) {
	t.Helper()
	text, err := os.ReadFile(logExamples + name)
	if err == nil {
		err = yaml.Unmarshal(text, out)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// rsyslog starts Debian's rsyslog with the example. It listens on socket, and writes to file
// what the example writes to accessLog. It returns the file with its pid.
func (e *edge) rsyslog(t *testing.T, socket, file string) (pidFile string) {
	t.Helper()
	binary := need(t, "/usr/sbin/rsyslogd", "rsyslog") // a folder that is not in every $PATH
	example, err := os.ReadFile(logExamples + "rsyslog.conf")
	must(t, err)
	if !strings.Contains(string(example), `"`+accessLog+`"`) {
		t.Fatalf("the example does not write %s", accessLog)
	}
	folder := t.TempDir()
	conf := filepath.Join(folder, "rsyslog.conf")
	text := fmt.Sprintf("global(workDirectory=%q)\nmodule(load=\"imuxsock\" SysSock.Name=%q)\n%s*.* %s/rest\n",
		folder, socket, strings.Replace(string(example), accessLog, file, 1), folder)
	must(t, os.WriteFile(conf, []byte(text), 0o600))
	pidFile = filepath.Join(folder, "pid")
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, "-n", "-f", conf, "-i", pidFile)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdout, cmd.Stderr = &log, &log
	must(t, cmd.Start())
	t.Cleanup(func() { // its context has ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("rsyslogd's log:\n%s", log.String())
		}
	})
	eventually(t, "rsyslogd listens", func() error {
		_, err := os.Stat(socket)
		return err
	})
	return pidFile
}
