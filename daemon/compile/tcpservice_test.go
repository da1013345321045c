// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"testing"

	"podgate/daemon/config"
	"podgate/kubeapi"
)

func TestAListedServiceThatDoesNotExistIsReported(t *testing.T) {
	cfg := testConfig()
	cfg.TCP.Services = []config.TCPService{{Namespace: "default", Name: "db", Port: "postgres", Listen: 15432}}
	const want = "Service default/db port postgres: [[tcp.service]] of podgate.toml lists this Service, which podgate does not find (kubernetes.selector can exclude it)"
	snap := &kubeapi.Snapshot{Services: []*kubeapi.Service{exposed("cart", 1)}}
	r := Compile(cfg, nil, snap, nil)
	if len(r.Problems) != 1 || r.Problems[0].String() != want || r.Problems[0].TCPPort != 15432 {
		t.Errorf("got %v, want %s", r.Problems, want)
	}
	svc := exposed("db", 2)
	svc.Annotations, svc.Ports = nil, []kubeapi.ServicePort{{Name: "postgres", Port: 5432}}
	r = Compile(cfg, nil, &kubeapi.Snapshot{Services: append(slices.Clone(snap.Services), svc)}, r)
	if len(r.Problems) != 0 {
		t.Errorf("after the Service was created: %v", r.Problems)
	}
	if i := slices.IndexFunc(r.Ports, func(p ServicePort) bool { return p.Service == svc.Key }); i < 0 || r.State.Backends.At(i).Policy.Mode != "tcp" {
		t.Errorf("the Service has no TCP backend:\n%s", r.State)
	}
}
