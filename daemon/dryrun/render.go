// SPDX-License-Identifier: Apache-2.0

package dryrun

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	"podgate/daemon/compile"
	"podgate/daemon/config"
	"podgate/daemon/reconcile"
	"podgate/haproxy/cfgfile"
	"podgate/kubeapi"
)

// Render writes the files that podgate would write for HAProxy to out, without spares, each
// after a line with its name, and each Problem as one line to problems. It decodes the cluster
// from objects, see kubeapi.DecodeSelected; if objects is nil, it lists the cluster once.
func Render(ctx context.Context, c *config.Config, version string, objects io.Reader, out, problems io.Writer) error {
	w, err := want(ctx, c, version, objects)
	if err != nil {
		return err
	}
	for _, p := range w.result.Problems {
		fmt.Fprintln(problems, p)
	}
	if len(w.result.Ports) == 0 {
		for _, line := range nothingServed(w.result, c.Kubernetes.Selector) {
			fmt.Fprintln(problems, line)
		}
	}
	w.state.Node.Served = true
	w.state.Settings.StatePerBackend, err = reconcile.HostFromConfig(c, slog.New(slog.DiscardHandler)).NamesStateFile()
	if err != nil {
		fmt.Fprintln(problems, "the operator's files are not read:", err)
	}
	files, err := cfgfile.Render(w.state.WithRelaySecret("SECRET").WithoutSpares(), c.HAProxy.Folder) // not the real secret
	if err != nil {
		return err
	}
	for _, p := range w.choice.Problems {
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

// nothingServed returns why result has no backend, a reason a line.
func nothingServed(result *compile.Result, selector string) (lines []string) {
	all := result.Overviews()
	if len(all) == 0 && selector != "" {
		return []string{fmt.Sprintf("nothing is served: there is no Service that kubernetes.selector %q matches", selector)}
	}
	if len(all) == 0 {
		return []string{"nothing is served: there is no Service"}
	}
	services := map[string][]kubeapi.Key{} // by the reason why they are skipped
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
