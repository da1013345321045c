// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"podgate/kubeapi"
)

const (
	stable   = 4 // Services that are always there, and asked all the time
	services = 8 // those that come and go among them
	perPod   = 6 // pods that each may have
)

// cluster is what the API server should say, and how often that changed.
type cluster struct {
	tcp     netip.AddrPort       // where one Service listens by itself
	wanted  map[int]map[int]bool // the pods of each Service that is there
	evil    bool
	bad     int
	changes int
}

// fill begins with every Service, of two pods each.
func (t *town) fill() error {
	t.wanted = map[int]map[int]bool{}
	for i := range services {
		if err := t.setService(i, nil); err != nil {
			return err
		}
		if err := t.setPods(i, 0, 1); err != nil {
			return err
		}
	}
	return nil
}

func serviceName(i int) string { return fmt.Sprintf("s%d", i) }

func (t *town) setService(i int, annotations map[string]string) error {
	prefixed := map[string]string{}
	for k, v := range annotations {
		prefixed["serviceloadbalancer/lb."+k] = v
	}
	t.changes++
	return t.api.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "shop", Name: serviceName(i)}, Type: "ClusterIP", Annotations: prefixed, Created: time.Unix(1, 0),
		Ports: []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}},
	})
}

// setPods gives a Service these pods and no others.
func (t *town) setPods(i int, pods ...int) error {
	slice := kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "shop", Name: serviceName(i) + "-x"}, Service: serviceName(i), AddressType: "IPv4",
		Ports: []kubeapi.EndpointPort{{Name: "web", Protocol: "TCP", Port: t.pods.port()}},
	}
	t.wanted[i] = map[int]bool{}
	for _, n := range pods {
		t.wanted[i][n] = true
		slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Addr: podAddr(i, n), Ready: true, Serving: true})
	}
	t.changes++
	return t.api.SetSlice(slice)
}

// podAddr tells by itself whose pod it is.
func podAddr(service, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(64 + service), 0, byte(1 + n)})
}

// churn changes some of the cluster: pods move, Services come, go and change.
func (t *town) churn() error {
	for range 1 + t.IntN(4) {
		i := t.IntN(services)
		var err error
		switch _, there := t.wanted[i]; {
		case t.IntN(8) == 0:
			err = t.harm()
		case i >= stable && t.IntN(4) == 0 && there:
			t.changes++
			t.api.Delete("Service", "shop", serviceName(i))
			t.api.Delete("EndpointSlice", "shop", serviceName(i)+"-x")
			delete(t.wanted, i)
		case i >= stable && (!there || t.IntN(4) == 0):
			err = t.setService(i, t.annotations(i))
			if err == nil && !there {
				err = t.setPods(i, t.somePods()...)
			}
		default:
			err = t.setPods(i, t.somePods()...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *town) somePods() []int { return t.Perm(perPod)[:1+t.IntN(perPod-1)] }

// annotations change what only a reload can, or a map. The last Service has a
// TCP port of its own at times.
func (t *town) annotations(i int) map[string]string {
	all := []map[string]string{
		nil, {"algorithm": "leastconn"}, {"cookie-sticky-session": "true"}, {"timeout-server": "9s"}, {"check-path": "/"}, {"maxconn": "50"},
	}
	if i == services-1 {
		all = append(all, map[string]string{"tcp": fmt.Sprint(t.tcp.Port())})
	}
	return all[t.IntN(len(all))]
}

// harm puts a Service of another namespace into the cluster that asks for what
// others have, and for nonsense.
func (t *town) harm() error {
	values := []string{
		"s0_80", "shop_s1_80", "/s0", "/s1,/s2/x", "*", "\n  server x 127.0.0.1:1", `"`, "${HOME}", "%[src]", "-i /S3", strings.Repeat("a", 5000),
		fmt.Sprint(t.tcp.Port()), fmt.Sprint(t.http.Port()), "true", "9999999h", "podgate_http", "\x00", "none", "a.example.com,*.example.com",
	}
	keys := []string{
		"host", "path", "aclMatch", "rewrite", "backend-name", "tcp", "algorithm", "check-path", "check-interval", "maxconn", "timeout-server",
		"timeout-connect", "cookie-sticky-session", "backend-protocol", "sslTerm", "allow-source", "nonsense", "host.nope",
	}
	annotations := map[string]string{}
	for range 1 + t.IntN(4) {
		annotations["serviceloadbalancer/lb."+keys[t.IntN(len(keys))]] = values[t.IntN(len(values))]
	}
	t.bad++
	t.evil = true
	return t.api.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "evil", Name: fmt.Sprintf("s%d", t.IntN(3))}, Type: "ClusterIP", Annotations: annotations,
		Created: time.Unix(2, 0), // younger, or it would have by its name what both ask for
		Ports:   []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}},
	})
}
