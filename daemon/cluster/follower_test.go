// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"podgate/daemon/config"
	"podgate/kubeapi/kubeapitest"
)

// TestATokenIsReadWhenItChanges replaces a symbolic link in the path of the file, as
// Kubernetes does. The tests of daemon/filewatch cover other changes.
func TestATokenIsReadWhenItChanges(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "token")
	mount := func(token string) {
		t.Helper()
		data := filepath.Join(folder, token)
		if err := errors.Join(os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, "token"), []byte(token), 0o600),
			os.Symlink(token, file+".new"), os.Rename(file+".new", filepath.Join(folder, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	mount("first")
	if err := os.Symlink("..data/token", file); err != nil {
		t.Fatal(err)
	}
	var seen sync.Map
	api := kubeapitest.Run(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"), true)
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	startFollower(t, config.Kubernetes{Servers: []string{front.URL}, TokenFile: file}, nil)
	shown := func(token string) {
		t.Helper()
		within(t, token+" is sent", func() bool { _, ok := seen.Load("Bearer " + token); return ok })
	}
	shown("first")
	mount("second") // the API server answers no request with 401
	shown("second")
}

func TestAKubeconfigIsReadWhenItChanges(t *testing.T) {
	one, other := kubeapitest.Run(t), kubeapitest.Run(t)
	file := filepath.Join(t.TempDir(), "config")
	name := func(s *kubeapitest.Server) {
		put(t, file, fmt.Sprintf("current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: %q}}]\n", s.URL()))
	}
	name(one)
	stop, logs := startFollower(t, config.Kubernetes{Kubeconfig: file}, nil)
	within(t, "the first server is asked", func() bool { return one.Lists() > 0 })
	name(other)
	within(t, "the second server is asked", func() bool { return other.Lists() > 0 })
	stop()
	if got := strings.Count(logs.String(), "credentials changed"); got != 1 {
		t.Errorf("logged %d times, want once:\n%s", got, logs)
	}

	// The file changes after it was read and before it is watched.
	asked := one.Lists()
	startFollower(t, config.Kubernetes{Kubeconfig: file}, func() { name(one) })
	within(t, "the first server is asked again", func() bool { return one.Lists() > asked })
}

// startFollower follows the cluster of k until the test ends or stop is called. It
// calls before after the credentials were read and before their files are watched.
func startFollower(t *testing.T, k config.Kubernetes, before func()) (stop func(), logs *bytes.Buffer) {
	t.Helper()
	k.Namespaces, k.PollInterval, k.ResyncInterval = []string{"shop"}, 10*time.Millisecond, time.Hour
	logs = &bytes.Buffer{}
	log := slog.New(slog.NewTextHandler(logs, nil))
	c := Config{Kubernetes: k, Version: "test"}
	client, err := Connect(c, log)
	if err != nil {
		t.Fatal(err)
	}
	if before != nil {
		before()
	}
	f := Follower{run: newRun(t.Context(), c, client, log)}
	t.Cleanup(f.Stop)
	return f.Stop, logs
}

// within waits until ok returns true.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 seconds: %s", what)
		}
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
