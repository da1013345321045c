// SPDX-License-Identifier: Apache-2.0

//go:build browser

package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// browser is a headless Chromium, controlled over two pipes by the DevTools protocol:
// JSON objects, each followed by NUL. It may not be used concurrently.
type browser struct {
	t       testing.TB
	out     *os.File
	in      chan message // closed when Chromium has ended
	lastID  int
	session string
	events  []message // that were not awaited yet
}

// message is a command, its answer, or an event.
type message struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// startBrowser starts Debian's Chromium and opens one tab. It ends with the test.
func startBrowser(t testing.TB) *browser {
	t.Helper()
	binary, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v (apt-get install chromium)", err)
	}
	theirIn, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, binary, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
		"--disable-dev-shm-usage", "--disable-background-networking", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // its descriptors 3 and 4
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &browser{t: t, out: out, in: make(chan message)}
	done := make(chan struct{})
	go b.read(in, done)
	t.Cleanup(func() {
		b.send(message{Method: "Browser.close"}) // it may have ended already
		out.Close()
		close(done)
		time.AfterFunc(5*time.Second, cancel)
		_ = cmd.Wait() // how it ended does not matter here
		cancel()
		in.Close()
		if t.Failed() {
			t.Logf("Chromium wrote:\n%s", output.String())
		}
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "DOM"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

func (b *browser) read(in *os.File, done chan struct{}) {
	defer close(b.in)
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := lines.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			return
		}
		select {
		case b.in <- m:
		case <-done:
			return
		}
	}
}

func (b *browser) send(m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = b.out.Write(append(text, 0))
	return err
}

// next returns the next message of Chromium.
func (b *browser) next(what string) message {
	b.t.Helper()
	select {
	case m, ok := <-b.in:
		if !ok {
			b.t.Fatalf("%s: Chromium has ended", what)
		}
		return m
	case <-time.After(30 * time.Second):
		b.t.Fatalf("%s: Chromium does not answer", what)
	}
	return message{}
}

// call runs one command, and parses its result into out unless that is nil.
func (b *browser) call(method string, params map[string]any, out any) {
	b.t.Helper()
	b.lastID++
	text, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	if params == nil {
		text = nil
	}
	if err := b.send(message{ID: b.lastID, SessionID: b.session, Method: method, Params: text}); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		m := b.next(method)
		switch {
		case m.ID == 0:
			b.events = append(b.events, m)
		case m.ID == b.lastID && m.Error != nil:
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		case m.ID == b.lastID:
			if out != nil {
				if err := json.Unmarshal(m.Result, out); err != nil {
					b.t.Fatalf("%s: %v", method, err)
				}
			}
			return
		}
	}
}

// await waits for an event.
func (b *browser) await(method string) message {
	b.t.Helper()
	if i := slices.IndexFunc(b.events, func(m message) bool { return m.Method == method }); i >= 0 {
		m := b.events[i]
		b.events = slices.Delete(b.events, i, i+1)
		return m
	}
	for {
		m := b.next(method)
		if m.Method == method {
			return m
		}
		b.events = append(b.events, m)
	}
}

// open loads a page.
func (b *browser) open(url string) {
	b.t.Helper()
	b.discard("Page.loadEventFired")
	var navigated struct{ ErrorText string }
	b.call("Page.navigate", map[string]any{"url": url}, &navigated)
	if navigated.ErrorText != "" {
		b.t.Fatalf("%s: %s", url, navigated.ErrorText)
	}
	b.await("Page.loadEventFired")
}

// discard removes an event that was not awaited.
func (b *browser) discard(method string) {
	b.events = slices.DeleteFunc(b.events, func(m message) bool { return m.Method == method })
}

// eval evaluates an expression, which may be a promise, into out.
func (b *browser) eval(expression string, out any) {
	b.t.Helper()
	var evaluated struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &evaluated)
	if e := evaluated.ExceptionDetails; e != nil {
		b.t.Fatalf("%.80s: %s %s", expression, e.Text, e.Exception.Description)
	}
	if out != nil {
		if err := json.Unmarshal(evaluated.Result.Value, out); err != nil {
			b.t.Fatalf("%.80s: %v", expression, err)
		}
	}
}

// text evaluates an expression to a string.
func (b *browser) text(expression string) (s string) {
	b.t.Helper()
	b.eval(expression, &s)
	return s
}

// press presses and releases a key.
func (b *browser) press(key string) {
	b.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13}
	down := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
	if key == "Enter" {
		down["text"] = "\r"
	}
	b.call("Input.dispatchKeyEvent", down, nil)
	b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}, nil)
}

// setViewport sets the width of the window, and the color scheme: light or dark.
func (b *browser) setViewport(width int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// checkConsole reports the messages in the console since the last call: errors,
// warnings, exceptions, and failed loads.
func (b *browser) checkConsole(what string) {
	b.t.Helper()
	b.call("Runtime.enable", nil, nil) // its answer follows all earlier events
	b.events = slices.DeleteFunc(b.events, func(m message) bool {
		var p struct {
			Type  string
			Entry struct{ Level, Text, URL string }
		}
		_ = json.Unmarshal(m.Params, &p) // fails for other events
		switch {
		case m.Method == "Log.entryAdded" && p.Entry.Level != "info" && p.Entry.Level != "verbose":
			b.t.Errorf("%s: console: %s %s: %s", what, p.Entry.Level, p.Entry.URL, p.Entry.Text)
		case m.Method == "Runtime.consoleAPICalled" && p.Type != "log" && p.Type != "info" && p.Type != "debug",
			m.Method == "Runtime.exceptionThrown", m.Method == "Network.loadingFailed":
			b.t.Errorf("%s: console: %s %s", what, m.Method, m.Params)
		default:
			return false
		}
		return true
	})
}
