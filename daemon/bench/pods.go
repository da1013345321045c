// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
)

// podHeader tells, in an answer, the address of the pod.
const podHeader = "Pod"

// pods are HTTP servers at any number of addresses in 127.64.0.0/10, all of
// them one listener.
type pods struct {
	listener net.Listener
	server   *http.Server
	served   chan struct{} // closed when server has ended
	given    atomic.Uint32
}

func startPods() (*pods, error) {
	// No socket listens on all of 127.0.0.0/8 and on nothing else.
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	p := &pods{listener: listener, served: make(chan struct{})}
	p.server = servePod(listener, p.served)
	return p, nil
}

// servePod answers on listener until the server is closed, and then closes
// served.
func servePod(listener net.Listener, served chan<- struct{}) *http.Server {
	server := &http.Server{
		Handler:  http.HandlerFunc(answerAsPod),
		ErrorLog: log.New(io.Discard, "", 0), // clients that went away
	}
	go func() {
		defer close(served)
		_ = server.Serve(listener) // http.ErrServerClosed
	}()
	return server
}

func answerAsPod(w http.ResponseWriter, r *http.Request) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	w.Header().Set(podHeader, local.String())
	_, _ = io.WriteString(w, "ok\n") // to a client that went away
}

func (p *pods) port() uint16 { return uint16(p.listener.Addr().(*net.TCPAddr).Port) }

// next returns addresses of pods that were nobody's before.
func (p *pods) next(n int) []netip.AddrPort {
	addrs := make([]netip.AddrPort, n)
	for i := range addrs {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], 127<<24|64<<16|p.given.Add(1))
		addrs[i] = netip.AddrPortFrom(netip.AddrFrom4(ip), p.port())
	}
	return addrs
}

func (p *pods) close() {
	_ = p.server.Close() // errors are of connections that were going away anyway
	<-p.served
}
