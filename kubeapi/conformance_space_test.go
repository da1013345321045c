//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest/realapi"
)

// object is a Kubernetes object, or a part of one.
type object = realapi.Object

// conformanceAccount is the ServiceAccount of every space.
const conformanceAccount = "podgate"

// space is a namespace for one test, with an account that may follow it.
type space struct {
	t       *testing.T
	cluster *realapi.Cluster
	name    string
	pods    atomic.Int32 // addresses given so far
}

var spaces atomic.Int32

func newSpace(t *testing.T, cluster *realapi.Cluster) *space {
	t.Helper()
	s := &space{t: t, cluster: cluster, name: fmt.Sprintf("space-%d", spaces.Add(1))}
	s.post("/api/v1/namespaces", object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": s.name}})
	s.create("v1", "ServiceAccount", conformanceAccount, nil)
	s.bindRole()
	s.mayList() // else Follow would log that it is forbidden
	return s
}

// bindRole gives the account the role of packaging/rbac.yaml in the namespace.
func (s *space) bindRole() {
	s.t.Helper()
	s.create("rbac.authorization.k8s.io/v1", "RoleBinding", "podgate", object{
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "podgate"},
		"subjects": []object{{"kind": "ServiceAccount", "name": conformanceAccount, "namespace": s.name}},
	})
}

// path returns the address of a collection in the namespace.
func (s *space) path(apiVersion, kind string) string {
	root := "/apis/"
	if apiVersion == "v1" {
		root = "/api/"
	}
	plural := strings.ToLower(kind)
	if plural != "endpoints" {
		plural += "s"
	}
	return root + apiVersion + "/namespaces/" + s.name + "/" + plural
}

func (s *space) post(path string, o object) {
	s.t.Helper()
	if err := s.cluster.Admin.Create(s.t.Context(), path, o); err != nil {
		s.t.Fatal(err)
	}
}

// create creates an object with these fields in addition to its name.
func (s *space) create(apiVersion, kind, name string, fields object) {
	s.t.Helper()
	o := object{"apiVersion": apiVersion, "kind": kind, "metadata": object{"name": name}}
	maps.Copy(o, fields)
	s.post(s.path(apiVersion, kind), o)
}

// patch merges fields into an object, or into its status if the name ends in "/status".
func (s *space) patch(apiVersion, kind, name string, fields object) {
	s.t.Helper()
	path := s.path(apiVersion, kind) + "/" + name
	if err := s.cluster.Admin.Do(s.t.Context(), http.MethodPatch, path, realapi.MergePatch, fields, nil); err != nil {
		s.t.Fatal(err)
	}
}

// remove deletes an object. The name may be followed by options of the request.
func (s *space) remove(apiVersion, kind, name string) {
	s.t.Helper()
	if err := s.cluster.Admin.Do(s.t.Context(), http.MethodDelete, s.path(apiVersion, kind)+"/"+name, "", nil, nil); err != nil {
		s.t.Fatal(err)
	}
}

// service creates a Service on port 80 for the pods labelled app=name, with
// further fields of its spec; nil removes a field.
func (s *space) service(name string, spec object) {
	s.t.Helper()
	all := object{
		"selector": object{"app": name},
		"ports":    []object{{"name": "http", "port": 80, "targetPort": "web"}},
	}
	maps.Copy(all, spec)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	s.create("v1", "Service", name, object{"spec": all})
}

// pod creates a Pod that is labelled app, has its port "web" on port and is
// ready, and returns its address.
func (s *space) pod(name, app string, port int) string {
	s.t.Helper()
	n := s.pods.Add(1)
	address := fmt.Sprintf("10.200.0.%d", n)
	s.podAt(name, app, port, address)
	return address
}

func (s *space) podAt(name, app string, port int, addresses ...string) {
	s.t.Helper()
	s.post(s.path("v1", "Pod"), realapi.Pod(name, app, port))
	s.patch("v1", "Pod", name+"/status", object{"status": realapi.PodRunning(addresses...)})
}

// slice creates an EndpointSlice of a Service by hand, with further fields.
func (s *space) slice(name, service string, fields object) {
	s.t.Helper()
	all := object{
		"metadata":    object{"name": name, "labels": object{"kubernetes.io/service-name": service}},
		"addressType": "IPv4",
		"ports":       []object{{"name": "http", "port": 8080}},
		"endpoints":   []object{},
	}
	maps.Copy(all, fields)
	s.create("discovery.k8s.io/v1", "EndpointSlice", name, all)
}

// key names an object of the namespace.
func (s *space) key(name string) kubeapi.Key { return kubeapi.Key{Namespace: s.name, Name: name} }

// truth lists everything as the administrator, in JSON: it shares only the decoding of
// objects with Follow.
func (s *space) truth() *kubeapi.Snapshot {
	s.t.Helper()
	var text bytes.Buffer
	for _, path := range []string{s.path("v1", "Service"), s.path("discovery.k8s.io/v1", "EndpointSlice")} {
		body, err := s.cluster.Admin.Open(s.t.Context(), http.MethodGet, path, "", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		text.WriteString("---\n")
		_, err = io.Copy(&text, body)
		body.Close()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	snapshot, err := kubeapi.Decode(&text)
	if err != nil {
		s.t.Fatal(err)
	}
	return snapshot
}

// config follows the space like a packaged podgate, except that no list hides an event
// that a watch has lost.
func (s *space) config() kubeapi.Config {
	s.t.Helper()
	token := filepath.Join(s.t.TempDir(), "token")
	write(s.t, token, s.token())
	return kubeapi.Config{
		Server:         realapi.URL,
		CAFile:         s.cluster.CAFile(),
		TokenFile:      token,
		Namespaces:     []string{s.name},
		Watch:          true,
		PollInterval:   500 * time.Millisecond,
		ResyncInterval: time.Hour,
	}
}

func (s *space) token() string {
	s.t.Helper()
	return s.cluster.Token(s.t, s.name, conformanceAccount)
}
