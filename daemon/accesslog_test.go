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
// file by the rules of the examples for Filebeat and Fluent Bit, neither of which is in
// Debian.
func TestTheExamplesOfLogsReadTheAccessLog(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	folder := filepath.Dir(e.HAProxy.Base)
	file := filepath.Join(t.TempDir(), "access.json")
	e.rsyslog(t, filepath.Join(folder, "syslog.sock"), file)
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
	if target != beat.Parsers[0].NDJSON.Target || bit.Format != "json" {
		t.Errorf("Filebeat has the line in %q and its time in %q, Fluent Bit parses %s", beat.Parsers[0].NDJSON.Target, stamp.Field, bit.Format)
	}
	// Fluent Bit's layout has the fields of strptime.
	strptime := strings.NewReplacer("%Y", "2006", "%m", "01", "%d", "02", "%H", "15", "%M", "04", "%S", "05")
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
			for layout, key := range map[string]string{stamp.Layouts[0]: beatKey, strptime.Replace(bit.TimeFormat): bit.TimeKey} {
				at, err := time.Parse(layout, fmt.Sprint(fields[key]))
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
// what the example writes to accessLog.
func (e *edge) rsyslog(t *testing.T, socket, file string) {
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
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, "-n", "-f", conf, "-i", filepath.Join(folder, "pid"))
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
}
