// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"net"
	"net/http"
	"sync/atomic"
)

// Door is one of several API servers of a cluster: an address that a test opens and
// closes while the cluster runs. Open and Close are called by one goroutine.
type Door struct {
	t       TB
	cluster http.Handler
	addr    string // as net.Listen takes it
	asked   atomic.Int32
	server  *http.Server
}

// OpenDoor opens a Door to cluster at a free port of 127.0.0.1, until the test
// ends.
func OpenDoor(t TB, cluster http.Handler) *Door {
	t.Helper()
	d := &Door{t: t, cluster: cluster, addr: "127.0.0.1:0"}
	d.Open()
	t.Cleanup(d.Close)
	return d
}

// Addr is "127.0.0.1:6443".
func (d *Door) Addr() string { return d.addr }

// URL is the address for a client.
func (d *Door) URL() string { return "http://" + d.addr }

// Asked returns the number of requests.
func (d *Door) Asked() int { return int(d.asked.Load()) }

// Open serves at the same address as before.
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
