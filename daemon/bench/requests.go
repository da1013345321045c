// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

const (
	// requestRuns is how often each HAProxy gets load, in turns. The least of its figures is
	// the one that other processes disturbed least.
	requestRuns = 12
	// requestCount is the number of requests of one run. Each has a path of its own, because
	// HAProxy remembers what 10,000 texts matched (configuration.txt "tune.pattern.cache-size").
	requestCount = 20_000
	// routesInUse of all routes get requests, each from one connection of the load, so that
	// HAProxy has one open connection to each of their pods. They are the first route, the
	// last one and others in between.
	routesInUse = 4 * loadConnections
)

// routeKind is a kind of routes to measure requests through.
type routeKind struct {
	name        string
	tls         bool
	annotations func(i int) map[string]string // of the i-th Service, without their prefix
	host, path  func(i int) string            // of a request for it; a number follows the path
	// yardstick is the expression of an operator for the backend, in which MAP is a map,
	// and key is the key of the i-th Service in it.
	yardstick string
	key       func(i int) string
}

// routeKinds lists the kinds.
func routeKinds() []routeKind {
	everyHost := func(int) string { return "edge.test" }
	host := func(i int) string { return serviceName(i) + ".edge.test" }
	path := func(i int) string { return "/" + serviceName(i) }
	below := func(i int) string { return path(i) + "/cart/" }
	upper := func(i int) string { return strings.ToUpper(path(i)) + "/cart/" }
	prefix := func(i int) string { return path(i) + "/" }
	const byHost, byPath = "req.hdr(host),host_only,lower,map(MAP)", "path,map_beg(MAP)"
	return []routeKind{
		{
			name: "host", host: host, path: below, yardstick: byHost, key: host,
			annotations: func(i int) map[string]string { return map[string]string{"host": host(i)} },
		},
		{
			name: "tls", tls: true, host: host, path: below, yardstick: byHost, key: host,
			annotations: func(i int) map[string]string { return map[string]string{"host": host(i), "sslTerm": "true"} },
		},
		{
			name: "path", host: everyHost, path: below, yardstick: byPath, key: prefix,
			annotations: func(i int) map[string]string { return map[string]string{"path": path(i)} },
		},
		{ // of a Service without annotations, whose pods get the path without the prefix
			name: "rewritten_path", host: everyHost, path: below, yardstick: byPath, key: prefix,
			annotations: func(int) map[string]string { return nil },
		},
		{
			name: "folded_path", host: everyHost, path: upper, yardstick: "path,lower,map_beg(MAP)", key: prefix,
			annotations: func(i int) map[string]string { return map[string]string{"aclMatch": "-i " + path(i)} },
		},
	}
}

// requestBenchmarks returns a benchmark for each kind of routes.
func requestBenchmarks(o options) []benchmark {
	var all []benchmark
	for _, k := range routeKinds() {
		all = append(all, benchmark{
			name: "requests_" + k.name, sizes: []size{{1000, 1}, {5000, 1}},
			alone: func(ctx context.Context, s size) (line, error) { return requests(ctx, k, s, o) },
		})
	}
	return all
}

// requests measures HAProxy's processor time for a request, and how many requests per
// second it answers with one thread, through routes of a kind with podgate's configuration.
// The yardstick is a configuration with the same backends that an operator would write.
// With -before there is a third configuration, which another podgate renders for the same
// objects.
func requests(ctx context.Context, k routeKind, s size, o options) (_ line, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	pods, err := startPlainPods()
	if err != nil {
		return nil, err
	}
	defer pods.close()
	all := []*contender{{key: "", podgate: o.podgate}, {key: "yardstick"}}
	if o.before != "" {
		all = append(all, &contender{key: "before", podgate: o.before})
	}
	for _, c := range all {
		if err := c.start(ctx, k, s, pods.port); err != nil {
			return nil, fmt.Errorf("configuration %q: %w", c.key, err)
		}
		defer func() { err = errors.Join(err, c.Stop()) }()
	}
	var texts [][]byte
	for n := range requestCount {
		i := n % routesInUse * (s.services - 1) / (routesInUse - 1)
		texts = append(texts, fmt.Appendf(nil, "GET %s%d HTTP/1.1\r\nHost: %s\r\nUser-Agent: curl/7.88.1\r\nAccept: */*%s", k.path(i), n, k.host(i), endOfHead))
	}
	for range 1 + requestRuns {
		for _, c := range all {
			if err := c.run(ctx, texts); err != nil {
				return nil, err
			}
		}
	}
	l := line{{"haproxy", all[0].process.Version}}
	for _, c := range all {
		l = append(l, c.line()...)
	}
	for _, c := range all[1:] {
		l = append(l, field{"cpu_to_" + c.key, round(all[0].cpu().Seconds() / c.cpu().Seconds())})
	}
	return append(l, field{"n", requestRuns}), nil
}
