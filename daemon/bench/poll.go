// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	pollTrials = 15
	// pollPage is how many objects podgate asks for in one answer.
	pollPage = 500
)

// pollCPU is what one poll of everything takes of the processor where nothing
// has changed: all that podgate takes from one to the next, a second later. The
// yardstick is a program that asks for the same answers and drops them.
func pollCPU(ctx context.Context, e *edge) (line, error) {
	if err := e.pollInstead(ctx); err != nil {
		return nil, err
	}
	perPoll := 2 * ((e.services + pollPage - 1) / pollPage) // Services and slices
	before, err := e.podgate.cpu()
	if err != nil {
		return nil, err
	}
	from := e.api.Lists()
	for e.api.Lists()-from < pollTrials*perPoll {
		if !pause(ctx, 10*time.Millisecond) {
			return nil, context.Cause(ctx)
		}
	}
	after, err := e.podgate.cpu()
	if err != nil {
		return nil, err
	}
	p, err := startEventReader(ctx, "drop-lists", e.api.URL())
	if err != nil {
		return nil, err
	}
	defer p.kill()
	bare, polls, err := p.end()
	if err != nil {
		return nil, err
	}
	return line{{"ms", ms((after - before) / pollTrials)}, {"n", pollTrials}, {"yardstick_ms", ms(bare / time.Duration(polls))}}, nil
}

// pollInstead starts podgate again, without watches.
func (e *edge) pollInstead(ctx context.Context) error {
	if err := e.podgate.stop(); err != nil {
		return err
	}
	toml := filepath.Join(e.dir, "podgate.toml")
	text, err := os.ReadFile(toml)
	if err != nil {
		return err
	}
	text = []byte(strings.Replace(string(text), "[kubernetes]\n", "[kubernetes]\nwatch = false\npoll_interval = \"1s\"\n", 1))
	if err := os.WriteFile(toml, text, 0o644); err != nil {
		return err
	}
	if e.podgate, err = startPodgate(e.podgate.cmd.Path, toml, filepath.Join(e.dir, "log")); err != nil {
		return err
	}
	if !pause(ctx, 5*time.Second) { // it lists, and looks at HAProxy
		return context.Cause(ctx)
	}
	return nil
}

// dropLists asks for everything, pollTrials times, and drops it.
func dropLists(ctx context.Context, url string) error {
	began := ownCPU()
	for range pollTrials {
		for _, collection := range []string{"/api/v1/namespaces/" + namespace + "/services", "/apis/discovery.k8s.io/v1/namespaces/" + namespace + "/endpointslices"} {
			if err := dropList(ctx, url+collection); err != nil {
				return err
			}
		}
	}
	took := ownCPU() - began
	fmt.Println("dropped")
	_, err := io.Copy(io.Discard, os.Stdin)
	fmt.Println(took.Nanoseconds(), pollTrials)
	return err
}

func dropList(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/vnd.kubernetes.protobuf")
	resp, err := http.DefaultClient.Do(req) // which asks for gzip, as podgate does
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
