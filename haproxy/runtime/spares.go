// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"podgate/haproxy"
)

// SpareNames returns which backend is in which spare of the process (State.SpareNames). It
// is empty without spares.
func (x exchanger) SpareNames(ctx context.Context) (map[string]string, error) {
	path, err := x.mapPath(haproxy.SparesMap)
	if err != nil {
		return nil, err
	}
	command := "show map " + path
	replies, err := x.exchange(ctx, command)
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	m := haproxy.Map{Name: haproxy.SparesMap}
	if !strings.HasPrefix(replies[0], unknownMap) {
		if m.Entries, err = parseMap(replies[0], false); err != nil {
			return nil, fmt.Errorf("observe HAProxy: %s: %w", command, err)
		}
	}
	return m.SpareNames(), nil
}

// proxyNames returns SpareNames, and the inverse.
func (x exchanger) proxyNames(ctx context.Context) (names map[string]string, proxy func(backend string) string, err error) {
	names, err = x.SpareNames(ctx)
	spares := map[string]string{}
	for spare, name := range names {
		spares[name] = spare
	}
	return names, func(backend string) string {
		if spare := spares[backend]; spare != "" {
			return spare
		}
		return backend
	}, err
}

// takeSpares replaces SparesMap, before a server is added to a spare and a route leads to
// it. If HAProxy rejects that, the new backends are left to a reload.
func (x exchanger) takeSpares(ctx context.Context, plan haproxy.Plan, a *Applied) (haproxy.Plan, error) {
	isSpares := func(m haproxy.Map) bool { return m.Name == haproxy.SparesMap }
	i := slices.IndexFunc(plan.Maps, isSpares)
	if i < 0 {
		return plan, nil
	}
	unswapped, err := x.swapMaps(ctx, plan.Maps[i:i+1], a)
	if err != nil {
		return plan, err
	}
	plan.Maps = slices.DeleteFunc(slices.Clone(plan.Maps), isSpares)
	if len(unswapped) == 0 {
		return plan, nil
	}
	rejected := map[string]bool{}
	for _, b := range plan.NewBackends {
		if b.Spare != "" {
			rejected[b.Name] = true
			a.rejectBackend(b.Name, "no spare can be taken")
		}
	}
	return withoutRejected(plan, rejected), nil
}

// OwnServers is Servers by the names of the backends, and not of the spares that they have
// taken.
func (c *Client) OwnServers(ctx context.Context, backends []string) (map[string][]haproxy.Server, error) {
	names, proxy, err := c.proxyNames(ctx)
	if err != nil {
		return nil, err
	}
	var proxies []string
	if backends != nil {
		proxies = []string{}
	}
	for _, b := range backends {
		proxies = append(proxies, proxy(b))
	}
	servers, err := c.Servers(ctx, proxies)
	return ownNames(servers, names), err
}

// ownNames returns values by the names of the backends.
func ownNames[V any](values map[string]V, names map[string]string) map[string]V {
	for spare, name := range names {
		if v, ok := values[spare]; ok {
			values[name] = v
			delete(values, spare)
		}
	}
	return values
}

// ServerStats returns the servers of a backend, in HAProxy's order; nil if HAProxy
// does not have the backend.
func (c *Client) ServerStats(ctx context.Context, backend string) ([]ServerStat, error) {
	_, proxy, err := c.proxyNames(ctx)
	if err != nil {
		return nil, err
	}
	return c.serverStats(ctx, proxy(backend))
}

// Up returns the number of servers that are up and accept new clients, by backend, for
// all backends, including the operator's.
func (c *Client) Up(ctx context.Context) (map[string]int, error) {
	names, err := c.SpareNames(ctx)
	if err != nil {
		return nil, err
	}
	up, err := c.up(ctx)
	return ownNames(up, names), err
}

// Lookup does the lookups of a request in HAProxy's maps and returns them with the
// entries that they find (management.txt "get map"). Entries that lead to a spare have the
// name of the backend that has taken it.
func (c *Client) Lookup(ctx context.Context, r haproxy.Request) ([]haproxy.Lookup, error) {
	names, err := c.SpareNames(ctx)
	if err != nil {
		return nil, err
	}
	lookups, err := c.lookup(ctx, r)
	for i := range lookups {
		lookups[i].Found = lookups[i].Found.WithOwnName(names)
	}
	return lookups, err
}
