// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"podgate/daemon/edgetest"
)

const (
	stable   = 4 // Services that always exist, and that the clients use
	services = 8 // all of them; the others are added and removed
	perPod   = 6 // pods that each may have
)

// evilNamespace has Services that claim the hosts, paths and ports of others.
const evilNamespace = "evil"

// cluster is the content of the API server, and how often it changed.
type cluster struct {
	tcp     netip.AddrPort       // where the last Service may listen by itself
	wanted  map[int]map[int]bool // pods of each Service that exists
	evil    bool
	bad     int
	changes int
}

// fill creates every Service, with two pods each.
func (e *edge) fill() error {
	e.wanted = map[int]map[int]bool{}
	for i := range services {
		if err := errors.Join(e.putService(i, nil), e.setPods(i, 0, 1)); err != nil {
			return err
		}
	}
	return nil
}

func serviceName(i int) string { return fmt.Sprintf("s%d", i) }

// target is a Service as clients reach it.
func (e *edge) target(i int) edgetest.Target {
	path := "/" + serviceName(i)
	return edgetest.Target{Service: serviceName(i), Request: edgetest.Request{Addr: e.HTTP, Path: path + "/"}, Strip: path}
}

func (e *edge) putService(i int, annotations map[string]string) error {
	e.changes++
	svc := edgetest.Service(serviceName(i), annotations)
	svc.Created = time.Unix(1, 0)
	return e.Cluster.PutService(svc)
}

// setPods gives a Service these pods and no others.
func (e *edge) setPods(i int, pods ...int) error {
	e.wanted[i] = map[int]bool{}
	var addrs []netip.AddrPort
	for _, n := range pods {
		e.wanted[i][n] = true
		addrs = append(addrs, e.pods.At(serviceName(i), podAddr(i, n)))
	}
	e.changes++
	return e.Cluster.SetEndpoints(serviceName(i), edgetest.ReadyAt(addrs...)...)
}

// podAddr is the address of a Service's n-th pod.
func podAddr(service, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(64 + service), 0, byte(1 + n)})
}

// churn changes some of the cluster: pods move, Services are added, removed and
// changed.
func (e *edge) churn() error {
	for range 1 + e.IntN(4) {
		i := e.IntN(services)
		var err error
		switch _, there := e.wanted[i]; {
		case e.IntN(8) == 0:
			err = e.harm()
		case i >= stable && e.IntN(4) == 0 && there:
			e.changes++
			e.Cluster.RemoveService(serviceName(i))
			err = e.Cluster.SetEndpoints(serviceName(i))
			delete(e.wanted, i)
		case i >= stable && (!there || e.IntN(4) == 0):
			err = e.putService(i, e.annotations(i))
			if err == nil && !there {
				err = e.setPods(i, e.somePods()...)
			}
		default:
			err = e.setPods(i, e.somePods()...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *edge) somePods() []int { return e.Perm(perPod)[:1+e.IntN(perPod-1)] }

// annotations need a reload, or a change of a map. The last Service has a TCP port
// of its own at times.
func (e *edge) annotations(i int) map[string]string {
	all := []map[string]string{
		nil, {"algorithm": "leastconn"}, {"cookie-sticky-session": "true"}, {"timeout-server": "9s"}, {"check-path": "/"}, {"maxconn": "50"},
	}
	if i == services-1 {
		all = append(all, map[string]string{"tcp": fmt.Sprint(e.tcp.Port())})
	}
	return all[e.IntN(len(all))]
}

// harm adds or changes a Service of evilNamespace with claims of others, and with invalid
// values.
func (e *edge) harm() error {
	values := []string{
		"s0_80", "shop_s1_80", "/s0", "/s1,/s2/x", "*", "\n  server x 127.0.0.1:1", `"`, "${HOME}", "%[src]", "-i /S3", strings.Repeat("a", 5000),
		fmt.Sprint(e.tcp.Port()), fmt.Sprint(e.HTTP.Port()), "true", "9999999h", "podgate_http", "\x00", "none", "a.example.com,*.example.com",
	}
	keys := []string{
		"host", "path", "aclMatch", "rewrite", "backend-name", "tcp", "algorithm", "check-path", "check-interval", "maxconn", "timeout-server", "timeout-tunnel",
		"timeout-connect", "cookie-sticky-session", "cookie-name", "backend-protocol", "sslTerm", "allow-source", "nonsense", "host.nope",
	}
	annotations := map[string]string{}
	for range 1 + e.IntN(4) {
		annotations[keys[e.IntN(len(keys))]] = values[e.IntN(len(values))]
	}
	e.bad++
	e.evil = true
	svc := edgetest.Service(serviceName(e.IntN(3)), annotations)
	svc.Namespace = evilNamespace
	svc.Created = time.Unix(2, 0) // younger: the older Service wins a conflict
	return e.Cluster.PutService(svc)
}
