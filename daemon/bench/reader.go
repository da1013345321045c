// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"podgate/daemon/edgetest"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest/realapi"
)

// readers are the children, by the first argument. The second argument is a kubeconfig
// for those of synced, and the URL of the API server for the others.
func readers() map[string]func(ctx context.Context, server string) error {
	return map[string]func(context.Context, string) error{
		"follow":   func(ctx context.Context, kubeconfig string) error { return follow(ctx, kubeconfig, true) },
		"list":     func(ctx context.Context, kubeconfig string) error { return follow(ctx, kubeconfig, false) },
		"transfer": transfer,

		"events":      events,
		"drop-events": dropEvents,
	}
}

// reportAndWait reports that everything was read, and waits for the end of standard
// input.
func reportAndWait() error {
	fmt.Println("synced")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// follow runs podgate's client until its first Snapshot.
func follow(ctx context.Context, kubeconfig string, watch bool) error {
	c, err := kubeapi.New(kubeapi.Config{Kubeconfig: kubeconfig, Namespaces: []string{edgetest.Namespace}, Watch: watch}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan *kubeapi.Snapshot, 1)
	var running sync.WaitGroup
	running.Go(func() { _ = c.Follow(ctx, out) }) // ends with ctx
	snapshot := <-out
	err = reportAndWait()
	cancel()
	running.Wait()
	if len(snapshot.Services) == 0 || snapshot.Slices.Len() == 0 {
		err = errors.New("the first Snapshot is empty")
	}
	return err
}

// transfer reads what follow reads, and drops it.
func transfer(ctx context.Context, kubeconfig string) error {
	folder := filepath.Dir(kubeconfig)
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "admin.crt"), filepath.Join(folder, "admin.key"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		ForceAttemptHTTP2: true,
	}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error, 2)
	for _, collection := range []string{"/api/v1/namespaces/" + edgetest.Namespace + "/services", "/apis/discovery.k8s.io/v1/namespaces/" + edgetest.Namespace + "/endpointslices"} {
		go func() { errs <- drop(ctx, &client, realapi.URL+collection) }()
	}
	if err := errors.Join(<-errs, <-errs); err != nil {
		return err
	}
	return reportAndWait()
}

// drop reads a streamed list to its end.
func drop(ctx context.Context, client *http.Client, collection string) error {
	const query = "?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=600"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, collection+query, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/vnd.kubernetes.protobuf")
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	// A frame is a length and a WatchEvent, whose first field is its type.
	const bookmark = "\x0a\x08BOOKMARK"
	frames := bufio.NewReaderSize(resp.Body, 64<<10)
	for {
		head, err := frames.Peek(4 + len(bookmark))
		if err != nil {
			return err
		}
		if string(head[4:]) == bookmark {
			return nil // the stream ends with the program
		}
		if _, err := frames.Discard(4 + int(binary.BigEndian.Uint32(head))); err != nil {
			return err
		}
	}
}
