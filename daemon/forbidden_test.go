// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"podgate/daemon/admin"
	"podgate/daemon/edgetest"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// setBank creates or replaces a Service of the namespace bank, and its pods.
func (e *edge) setBank(t *testing.T, name string, pods ...*edgetest.Pod) {
	t.Helper()
	must(t, e.Cluster.SetService(kubeapi.Service{
		Key: kubeapi.Key{Namespace: "bank", Name: name}, Ports: []kubeapi.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}},
		Annotations: map[string]string{"serviceloadbalancer/lb.path": "/" + name},
	}))
	slice := kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "bank", Name: name + "-1"}, Service: name, AddressType: "IPv4",
		Ports: []kubeapi.EndpointPort{{Name: "web", Protocol: "TCP", Port: pods[0].Addr.Port()}},
	}
	for _, p := range pods {
		slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Addr: p.Addr.Addr(), Ready: true, Serving: true, Pod: p.Name})
	}
	must(t, e.Cluster.SetSlice(slice))
}

// unreadable makes lists and watches of resources of the namespace bank fail.
func unreadable(answer http.HandlerFunc, resources ...string) (all []kubeapitest.Misbehaviour) {
	for _, r := range resources {
		for _, verb := range []string{"list", "watch"} {
			all = append(all, kubeapitest.Break(verb, r, "bank", answer))
		}
	}
	return all
}

func forbid(namespace string, resources ...string) (all []kubeapitest.Misbehaviour) {
	for _, r := range resources {
		all = append(all, kubeapitest.Forbid("list", r, namespace), kubeapitest.Forbid("watch", r, namespace))
	}
	return all
}

// TestANamespaceThatCannotBeReadHoldsBackOnlyItself restarts podgate, and changes
// podgate.toml, while a namespace cannot be read: HAProxy serves what it has of that
// namespace, and all of the other one is followed.
func TestANamespaceThatCannotBeReadHoldsBackOnlyItself(t *testing.T) {
	t.Parallel()
	fails := func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no backend", http.StatusInternalServerError)
	}
	for _, row := range []struct {
		name  string
		what  []kubeapitest.Misbehaviour
		shown string // in a reason of the status; "" for nothing
	}{
		{"forbidden", forbid("bank", "services", "endpointslices"), `list services in namespace "bank": 403 Forbidden`},
		{"forbidden Services", forbid("bank", "services"), `list services in namespace "bank": 403 Forbidden`},
		{"forbidden EndpointSlices", forbid("bank", "endpointslices"), `list endpointslices in namespace "bank": 403 Forbidden`},
		{"failing", unreadable(fails, "services", "endpointslices"), `in namespace "bank": 500 Internal Server Error`},
		{"without an answer", unreadable(nil, "services", "endpointslices"), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			e.set(t, "kubernetes.namespaces", []string{"shop", "bank"})
			vault := newPod(t, "vault-0")
			e.setBank(t, "vault", vault)
			e.serveCart(t)
			e.awaitAnswer(t, "any", "/vault/", "200 vault-0 /vault/")
			e.awaitFile(t, "podgate.services.json", `"vault"`)
			l := startLoadOf(t,
				edgetest.Target{Service: "cart", Request: edgetest.Request{Addr: e.HTTP, Path: "/cart/a"}, Strip: "/cart"},
				edgetest.Target{Service: "vault", Request: edgetest.Request{Addr: e.HTTP, Path: "/vault/b"}})
			follows := func(n int) {
				t.Helper()
				pod := newPod(t, fmt.Sprintf("cart-%d", n))
				e.endpoints(t, "cart", pod)
				e.awaitServers(t, "shop_cart_80", pod)
				e.awaitServers(t, "bank_vault_80", vault)
			}

			e.Cluster.Misbehave(row.what...)
			e.Cluster.CutWatches()
			follows(1)
			e.stop(t)
			e.Log.Reset()
			e.start(t)
			follows(2)
			e.serviceWithReload(t, "more", newPod(t, "more-0"))
			e.awaitServers(t, "bank_vault_80", vault)

			// podgate.toml has another namespace, then fewer.
			e.set(t, "kubernetes.namespaces", []string{"shop", "bank", "empty"})
			follows(3)
			e.set(t, "kubernetes.poll_interval", "2s")
			follows(4)
			if row.shown != "" {
				e.awaitReason(t, row.shown)
				if n := strings.Count(e.Log.String(), "level=ERROR"); n > 3*2 { // once for each resource and Client
					t.Errorf("%d errors are logged", n)
				}
			}
			if strings.Contains(e.Log.String(), "no endpoints") {
				t.Error("a Service whose endpoints cannot be read is reported as one without")
			}

			// The namespace can be read again.
			e.Cluster.Behave()
			next := newPod(t, "vault-1")
			e.setBank(t, "vault", next)
			e.awaitServers(t, "bank_vault_80", next)
			l.check(t)
		})
	}
}

// awaitReason waits until the status names a text as a reason, and is neither ok nor
// critical.
func (e *edge) awaitReason(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the status", func() error {
		s, err := admin.NewClient(e.Socket).Status(t.Context(), -1)
		if err == nil && (s.Level != admin.Degraded || !s.InSync || !strings.Contains(strings.Join(s.Reasons, "\n"), text)) {
			err = fmt.Errorf("%s, in sync %t, %q", s.Level, s.InSync, s.Reasons)
		}
		return err
	})
}

// A podgate that has never seen a namespace serves the others.
func TestANamespaceThatWasNeverReadHoldsBackNoOther(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.set(t, "kubernetes.namespaces", []string{"shop", "bank"})
	vault := newPod(t, "vault-0")
	e.setBank(t, "vault", vault)
	e.Cluster.Misbehave(forbid("bank", "services", "endpointslices")...)
	e.serveCart(t)
	e.awaitAnswer(t, "any", "/vault/", notFound)
	e.awaitReason(t, `list services in namespace "bank": 403 Forbidden`)
	l := e.startLoad(t, "/cart/a")
	e.Cluster.Behave()
	e.awaitAnswer(t, "any", "/vault/", "200 vault-0 /vault/")
	e.awaitServers(t, "bank_vault_80", vault)

	// A namespace that podgate.toml adds.
	e.Cluster.Misbehave(forbid("late", "services", "endpointslices")...)
	e.set(t, "kubernetes.namespaces", []string{"shop", "bank", "late"})
	pod := newPod(t, "cart-1")
	e.endpoints(t, "cart", pod)
	e.awaitServers(t, "shop_cart_80", pod)
	e.awaitReason(t, `list services in namespace "late": 403 Forbidden`)
	l.check(t)
}

// Without its file of Services, as after an upgrade, podgate removes nothing of a
// namespace that it cannot read.
func TestALostListOfServicesRemovesNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.set(t, "kubernetes.namespaces", []string{"shop", "bank"})
	vault := newPod(t, "vault-0")
	e.setBank(t, "vault", vault)
	e.serveCart(t)
	e.awaitAnswer(t, "any", "/vault/", "200 vault-0 /vault/")
	e.stop(t)
	for _, content := range []string{"", "[{"} {
		services := filepath.Join(e.HAProxy.Folder, "podgate.services.json")
		must(t, os.Remove(services))
		if content != "" {
			must(t, os.WriteFile(services, []byte(content), 0o600))
		}
		e.Cluster.Misbehave(forbid("bank", "services")...)
		e.Log.Reset()
		e.start(t)
		e.awaitLogCount(t, "API server forbids a list", 1)
		e.awaitServers(t, "bank_vault_80", vault)
		e.Cluster.Behave()
		pod := newPod(t, "cart-1")
		e.endpoints(t, "cart", pod)
		e.awaitServers(t, "shop_cart_80", pod)
		e.awaitServers(t, "bank_vault_80", vault)
		e.stop(t)
	}
}
