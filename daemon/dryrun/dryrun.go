// SPDX-License-Identifier: Apache-2.0

// Package dryrun shows what podgate would have HAProxy serve: Render returns the files,
// Diff the differences to the running HAProxy and its files. It changes nothing.
package dryrun

import (
	"context"
	"fmt"
	"io"
	"net/netip"

	"podgate/daemon/certstore"
	"podgate/daemon/cluster"
	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/daemon/machine"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// wanted is what podgate would have HAProxy serve.
type wanted struct {
	state  haproxy.State
	result *compile.Result
	choice certstore.Choice
}

// want compiles the cluster. It decodes the cluster from objects, see kubeapi.DecodeSelected; if
// objects is nil, it lists the cluster once.
func want(ctx context.Context, c *config.Config, version string, objects io.Reader) (wanted, error) {
	snapshot, reached, err := readCluster(ctx, c, version, objects)
	if err != nil {
		return wanted{}, err
	}
	store := certstore.ReadOnce(certstore.FromConfig(c))
	m, err := new(machine.Reader).Read(c, store.Set().Files, reached)
	if err != nil {
		return wanted{}, fmt.Errorf("read the addresses of this machine: %w", err)
	}
	result := compile.Compile(c, m, snapshot, nil)
	w := wanted{result.State, result, store.Choose(result)}
	w.state.Certificates = w.choice.Certificates
	return w, nil
}

// readCluster also returns the addresses of API servers that it reached; none for objects.
func readCluster(ctx context.Context, c *config.Config, version string, objects io.Reader) (*kubeapi.Snapshot, []netip.Addr, error) {
	if objects != nil {
		snapshot, err := kubeapi.DecodeSelected(objects, c.Kubernetes.Selector)
		return snapshot, nil, err
	}
	k := cluster.FromConfig(c, version)
	snapshot, reached, err := cluster.ReadOnce(ctx, k)
	if err != nil || k.Nodes || !compile.Compile(c, nil, snapshot, nil).NeedsNodes() {
		return snapshot, reached, err
	}
	k.Nodes = true
	return cluster.ReadOnce(ctx, k)
}
