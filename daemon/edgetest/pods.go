// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// Pods are any number of pods with one listener, at addresses of 127.64.0.0/10 and one
// port. The name of a pod is its address. Unlike a Pod, they end together. The methods may
// be called concurrently.
type Pods struct {
	Port uint16

	server *http.Server
	served chan struct{} // closed when server has ended

	mu       sync.Mutex
	services map[netip.Addr]string
	given    uint32
}

// StartPods returns Pods that listen, until Close.
func StartPods() (*Pods, error) {
	// A socket listens on one address or on all addresses; it cannot listen on 127.0.0.0/8.
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	p := &Pods{Port: addrOf(listener).Port(), served: make(chan struct{}), services: map[netip.Addr]string{}}
	p.server = &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)} // it would log clients that closed their connections
	go func() {
		defer close(p.served)
		_ = p.server.Serve(listener) // http.ErrServerClosed
	}()
	return p, nil
}

func (p *Pods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	addr := local.AddrPort()
	p.mu.Lock()
	service := p.services[addr.Addr().Unmap()]
	p.mu.Unlock()
	answer(w, r, addr.String(), service, "ok\n")
}

// At returns the pod of a Service at an address.
func (p *Pods) At(service string, addr netip.Addr) netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.services[addr] = service
	return netip.AddrPortFrom(addr, p.Port)
}

// Next returns n pods of a Service, at addresses that it did not return before:
// only after a million they are used again.
func (p *Pods) Next(service string, n int) []netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	addrs := make([]netip.AddrPort, n)
	for i := range addrs {
		p.given++
		addrs[i] = p.Nth(int(p.given))
		p.services[addrs[i].Addr()] = service
	}
	return addrs
}

// Nth returns the n-th pod that Next returned, counted from 1.
func (p *Pods) Nth(n int) netip.AddrPort {
	const most = 1 << 20
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], 127<<24|64<<16|uint32(n)%most)
	return netip.AddrPortFrom(netip.AddrFrom4(ip), p.Port)
}

// Close ends all pods immediately.
func (p *Pods) Close() {
	_ = p.server.Close() // of connections that were about to end
	<-p.served
}
