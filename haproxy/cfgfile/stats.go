// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	parser "github.com/haproxytech/client-native/v5/config-parser"
	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// addStats adds the frontend of HAProxy's own statistics (configuration.txt "stats
// enable", and the service "prometheus-exporter"). Without "stats admin" a client cannot
// change anything. A connection serves one request, so that no connection outlives a
// reload and shows the numbers of an old worker.
func (d *document) addStats(f haproxy.Frontend) {
	d.addSection(parser.Frontends, f.Name, httpDefaults, &models.Frontend{Name: f.Name, HTTPConnectionMode: "httpclose"})
	d.addBinds(f)
	var lines []string
	if len(f.Stats.Sources) > 0 {
		lines = append(lines, "tcp-request connection reject if !{ src "+prefixes(f.Stats.Sources)+" }")
	}
	lines = append(lines, "http-request set-log-level silent")
	if f.Stats.Metrics {
		lines = append(lines, "http-request use-service prometheus-exporter if { path /metrics }")
	}
	lines = append(lines, "stats enable", "stats uri /", "stats hide-version")
	d.addLines(parser.Frontends, f.Name, lines)
}
