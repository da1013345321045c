// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"

	"podgate/daemon/certstore"
	"podgate/daemon/cluster"
	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/check"
	"podgate/kubeapi"
)

// Render writes to out what Run would write to the folder, each file behind a
// line with its name, and the Problems to problems, a line each. The cluster is
// read from objects, as kubectl prints them, or listed once if that is nil.
func Render(ctx context.Context, c *config.Config, version string, objects io.Reader, out, problems io.Writer) error {
	snapshot, err := readCluster(ctx, c, version, objects)
	if err != nil {
		return err
	}
	store := certstore.ReadOnce(certstore.FromConfig(c))
	result := compile.Compile(c, store.Set().Files, snapshot, nil)
	for _, p := range result.Problems {
		fmt.Fprintln(problems, p)
	}
	if len(result.Ports) == 0 {
		for _, line := range nothingServed(result) {
			fmt.Fprintln(problems, line)
		}
	}
	choice := store.Choose(result)
	want := result.State
	want.Certificates = choice.Certificates
	want = want.WithRelaySecret("SECRET") // each edge has its own, and shows it to nobody
	want.Node.Served = true
	files, err := cfgfile.Render(want, c.HAProxy.Folder)
	if err != nil {
		return err
	}
	for _, p := range choice.Problems {
		fmt.Fprintln(problems, p)
	}
	if files.CrtList != nil {
		files.Maps[cfgfile.CrtListFile] = files.CrtList
	}
	if _, err := fmt.Fprintf(out, "==> %s <==\n%s", cfgfile.ConfigFile, files.Config()); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files.Maps)) {
		if _, err := fmt.Fprintf(out, "\n==> %s <==\n%s", name, files.Maps[name]); err != nil {
			return err
		}
	}
	return nil
}

// nothingServed says why result has no backend, a reason a line, to whoever
// expected some.
func nothingServed(result *compile.Result) (lines []string) {
	all := result.Overviews()
	if len(all) == 0 {
		return []string{"nothing is served: there is no Service"}
	}
	services := map[string][]kubeapi.Key{} // by the reason why they are left out
	for _, o := range all {
		if o.Skipped != "" {
			services[o.Skipped] = append(services[o.Skipped], o.Object.Key)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(services)) {
		which := services[reason][0].String()
		if more := len(services[reason]) - 1; more > 0 {
			which += fmt.Sprintf(" and %d more", more)
		}
		lines = append(lines, fmt.Sprintf("nothing is served: Service %s: %s", which, reason))
	}
	return lines
}

func readCluster(ctx context.Context, c *config.Config, version string, objects io.Reader) (*kubeapi.Snapshot, error) {
	if objects != nil {
		return kubeapi.Decode(objects)
	}
	k := cluster.FromConfig(c, version)
	snapshot, err := cluster.ReadOnce(ctx, k)
	if err != nil || k.Nodes || !compile.Compile(c, nil, snapshot, nil).NeedsNodes() {
		return snapshot, err
	}
	k.Nodes = true
	return cluster.ReadOnce(ctx, k)
}

// haproxyCheck is what podgate.toml says of "haproxy -c".
func haproxyCheck(h config.HAProxy) check.HAProxy {
	return check.HAProxy{Binary: h.Binary, Files: h.Files}
}

// CheckEmpty is a check by "haproxy -c" of what c says by itself, with no Service
// in the cluster.
func CheckEmpty(ctx context.Context, c *config.Config) error {
	return haproxyCheck(c.HAProxy).State(ctx, compile.Compile(c, nil, &kubeapi.Snapshot{}, nil).State)
}

// Listens are the addresses that c asks for by itself, with no Service in the
// cluster.
func Listens(c *config.Config) []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, f := range compile.Compile(c, nil, &kubeapi.Snapshot{}, nil).State.Frontends {
		addrs = append(addrs, f.Binds...)
		if f.Relay.IsValid() {
			addrs = append(addrs, f.Relay)
		}
	}
	return addrs
}
