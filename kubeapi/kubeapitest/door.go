// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"net"
	"net/http"
	"sync/atomic"
)

// A Test is what a Door needs of a *testing.T. The product, which carries this
// package for its demo, stays free of package testing.
type Test interface {
	Helper()
	Fatal(args ...any)
	Cleanup(func())
}

// Door is one of several API servers of a cluster: an address that a test opens
// and closes while the cluster behind it goes on. Open and Close are for one
// goroutine.
type Door struct {
	t       Test
	cluster http.Handler
	addr    string // as net.Listen takes it
	asked   atomic.Int32
	server  *http.Server
}

// OpenDoor opens a Door to cluster at a free port of 127.0.0.1, until the test
// ends.
func OpenDoor(t Test, cluster http.Handler) *Door {
	t.Helper()
	d := &Door{t: t, cluster: cluster, addr: "127.0.0.1:0"}
	d.Open()
	t.Cleanup(d.Close)
	return d
}

// Addr is "127.0.0.1:6443".
func (d *Door) Addr() string { return d.addr }

// URL is what a client is configured with.
func (d *Door) URL() string { return "http://" + d.addr }

// Asked is how many requests came in by it.
func (d *Door) Asked() int { return int(d.asked.Load()) }

// Open serves, where it did before.
func (d *Door) Open() {
	d.t.Helper()
	listener, err := net.Listen("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.addr = listener.Addr().String()
	d.server = &http.Server{Handler: d}
	go d.server.Serve(listener)
}

// Close ends every connection; the next ones are refused.
func (d *Door) Close() { d.server.Close() }

func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.asked.Add(1)
	d.cluster.ServeHTTP(w, r)
}
