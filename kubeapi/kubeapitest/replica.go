// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"net/http"
	"sync/atomic"
)

// Replica is one of several API servers of a cluster, which a test starts and stops while
// the cluster runs. One goroutine calls Start and Stop.
type Replica struct {
	t        TB
	cluster  http.Handler
	port     *port
	requests atomic.Int32
	server   *http.Server
}

// StartReplica starts a Replica of cluster at a free port of 127.0.0.1, until the test
// ends.
func StartReplica(t TB, cluster http.Handler) *Replica {
	t.Helper()
	port, err := newPort()
	if err != nil {
		t.Fatal(err)
	}
	r := &Replica{t: t, cluster: cluster, port: port}
	r.Start()
	t.Cleanup(r.Stop)
	return r
}

// Addr returns the address, such as 127.0.0.1:6443.
func (r *Replica) Addr() string { return r.port.addr }

// URL returns the URL for a client.
func (r *Replica) URL() string { return "http://" + r.port.addr }

// Requests returns the number of requests so far.
func (r *Replica) Requests() int { return int(r.requests.Load()) }

// Start serves at the same address as before.
func (r *Replica) Start() {
	r.t.Helper()
	listener, err := r.port.listen()
	if err != nil {
		r.t.Fatal(err)
	}
	r.server = &http.Server{Handler: r}
	go r.server.Serve(listener)
}

// Stop closes every connection; new ones are refused.
func (r *Replica) Stop() { r.server.Close() }

// ServeHTTP counts the request and passes it to the cluster.
func (r *Replica) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.requests.Add(1)
	r.cluster.ServeHTTP(w, req)
}
