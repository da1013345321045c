// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"podgate/daemon/edgetest"
	"podgate/haproxy/haproxytest"
)

// TestRoutesChangeWithSmallBuffers sends HAProxy a map that is larger than its buffers,
// whose size the operator has reduced.
func TestRoutesChangeWithSmallBuffers(t *testing.T) {
	t.Parallel()
	for _, size := range []int{2048, 4096, 8192} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			e := newEdgeIn(t, newCluster(t), haproxytest.Options{Global: []string{fmt.Sprint("tune.bufsize ", size), "tune.maxrewrite 512"}})
			const services = 120
			var pods []*edgetest.Pod
			for n := range services {
				name := fmt.Sprintf("svc%d", n)
				pods = append(pods, newPod(t, name+"-0"))
				e.service(t, name, map[string]string{"host": fmt.Sprintf("this-is-a-rather-long-host-name-of-service-number-%d.shop.example.com", n)}, pods[n])
			}
			e.start(t)
			e.awaitAnswer(t, "this-is-a-rather-long-host-name-of-service-number-1.shop.example.com", "/", "200 svc1-0 /")
			e.awaitReloads(t)
			e.service(t, "svc1", map[string]string{"host": "changed.shop.example.com"}, pods[1])
			e.awaitAnswer(t, "changed.shop.example.com", "/", "200 svc1-0 /")
			moved := newPod(t, "svc7-1")
			e.endpoints(t, "svc7", moved)
			e.awaitServers(t, "shop_svc7_80", moved)
			e.checkOneReload(t)
		})
	}
}

// TestALargeCertificateIsLoadedByAReload serves a certificate that is larger than
// HAProxy's buffers, and then its renewal. Other certificates change at run time.
func TestALargeCertificateIsLoadedByAReload(t *testing.T) {
	t.Parallel()
	e := newTLSEdge(t)
	e.certify(t, "shop.pem", "first.test", "shop.test")
	e.serveShop(t)
	e.awaitCertificate(t, "shop.test", "first.test")
	intermediate, _ := split(haproxytest.Certificate(t, "intermediate.test"))
	for n := 1; n <= 2; n++ {
		name := fmt.Sprintf("large%d.test", n)
		e.put(t, "large.pem", append(haproxytest.Certificate(t, name, "large.test"), bytes.Repeat(intermediate, 50)...))
		e.awaitCertificate(t, "large.test", name)
		eventually(t, "the reload is counted", func() error {
			if got := e.Reloads(); len(got) != 1+n {
				return fmt.Errorf("reloads: %q, want one for each large certificate", got)
			}
			return nil
		})
	}
	e.certify(t, "shop.pem", "second.test", "shop.test")
	e.awaitCertificate(t, "shop.test", "second.test")
	if got := e.Reloads(); len(got) != 3 || !strings.Contains(got[2], "cannot be changed at run time") {
		t.Errorf("reloads: %q, want one for each large certificate", got)
	}
	if log := e.Log.String(); strings.Contains(log, "is out of sync") {
		t.Error("a certificate that waits for a reload is logged as a failure")
	}
	e.checkKeysAreSecret(t)
}
