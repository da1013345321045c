// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"time"

	"podgate/haproxy"
)

// key is one key of podgate.toml. The keys are told here and nowhere else: the
// file is read by them, misspelt keys are compared with them, and tests hold
// the packaged example and the manual against them.
type key struct {
	section string
	name    string
	field   field
	effect  effect
	doc     string // one sentence
}

// effect says when a changed value takes hold.
type effect string

const (
	atOnce       effect = "at once"
	afterRestart effect = "after a restart"
)

// grantSection is the one section that may stand several times.
const grantSection = "grant"

// allKeys returns every key there is, bound to the fields of c and to those of
// no Grant in particular.
func allKeys(c *Config) []key {
	return append(c.keys(), grantKeys(new(Grant))...)
}

// keys returns the keys but those of [[grant]], bound to the fields of c.
func (c *Config) keys() []key {
	return slices.Concat(
		c.Kubernetes.keys(),
		c.HAProxy.keys(),
		c.HTTP.keys(),
		c.HTTPS.keys(),
		c.TCP.keys(),
		c.Defaults.keys(),
		c.Safety.keys(),
		c.Cloud.keys(),
		c.Admin.keys(),
		c.Upstream.keys(),
		c.Peers.keys(),
		c.Log.keys(),
	)
}

func (k *Kubernetes) keys() []key {
	const s = "kubernetes"
	return []key{
		{s, "kubeconfig", text(&k.Kubeconfig, "absolute path", orEmpty(absolutePath)), atOnce,
			"The kubeconfig that names the API server and the credentials; give this or server."},
		{s, "context", text(&k.Context, "name", contextName), atOnce,
			"The context of the kubeconfig; empty for its current one."},
		{s, "server", oneOrMore(&k.Servers, "http or https URL without a path, or a list of them", fromString(serverURL), quote, distinct[string]), atOnce,
			"The API server, or those of one cluster, of which the next is asked when one fails; give this or kubeconfig."},
		{s, "ca_file", text(&k.CAFile, "absolute path", orEmpty(absolutePath)), atOnce,
			"The certificate authority of server in PEM; empty for those that the system trusts."},
		{s, "token_file", text(&k.TokenFile, "absolute path", orEmpty(absolutePath)), atOnce,
			"The file with the bearer token for server; it is read again when it changes."},
		{s, "client_certificate", text(&k.ClientCertificate, "absolute path", orEmpty(absolutePath)), atOnce,
			"The client certificate for server in PEM, together with client_key."},
		{s, "client_key", text(&k.ClientKey, "absolute path", orEmpty(absolutePath)), atOnce,
			"The private key of client_certificate in PEM."},
		{s, "namespaces", list(&k.Namespaces, `list of namespaces, or ["*"] for all`, fromString(namespaceOrAll), quote, finishNamespaces), atOnce,
			"The namespaces whose Services are served."},
		{s, "selector", text(&k.Selector, "label selector as kubectl -l takes it", orEmpty(selector)), atOnce,
			"Only Services with these labels are served; empty for all."},
		{s, "expose", choice(&k.Expose, ExposeAll, ExposeAnnotated), atOnce,
			"Serve every Service that is not ignored, or only those that carry an annotation of podgate."},
		{s, "watch", boolean(&k.Watch), atOnce,
			"Take changes from the API server as they happen; false lists every poll_interval."},
		{s, "poll_interval", duration(&k.PollInterval, time.Second, time.Hour), atOnce,
			"The time between two lists where there is no watch, and the most between two attempts to reach the API server, which beside a watch are 1.5s apart at most."},
		{s, "resync_interval", duration(&k.ResyncInterval, time.Minute, 24*time.Hour), atOnce,
			"The time between two complete lists beside a watch, and between two comparisons with the running HAProxy."},
	}
}

func (h *HAProxy) keys() []key {
	const s = "haproxy"
	return []key{
		{s, "folder", text(&h.Folder, "absolute path", folder), afterRestart,
			"The folder that is podgate's alone and that HAProxy loads by a further -f."},
		{s, "admin_socket", text(&h.AdminSocket, "absolute path", socket), afterRestart,
			"HAProxy's stats socket of level admin."},
		{s, "master_socket", text(&h.MasterSocket, "absolute path", socket), afterRestart,
			"HAProxy's master CLI, by which it is reloaded."},
		{s, "binary", text(&h.Binary, "absolute path", haproxyPath), afterRestart,
			"The program that checks a configuration before it is loaded."},
		{s, "config", list(&h.Files, "list of absolute paths", fromString(haproxyPath), quote, distinct[string]), afterRestart,
			"Your own files that HAProxy loads before the folder; they are read by the check and never written."},
		{s, "error_files", text(&h.ErrorFolder, "absolute path", orEmpty(haproxyPath)), atOnce,
			"The folder whose CODE.http files replace HAProxy's own error pages; empty for none."},
		{s, "reload_interval", duration(&h.ReloadInterval, 0, 10*time.Minute), atOnce,
			"The least time between two reloads of HAProxy; what needs one meanwhile waits and is gathered."},
		{s, "hard_stop_after", duration(&h.HardStopAfter, 0, 168*time.Hour), atOnce,
			"How long a worker that a reload retired may live for its last connections, which are closed then; 0s is without limit."},
		{s, "retired_workers", integer(&h.RetiredWorkers, 1, 1000), atOnce,
			"How many reloads a retired worker may survive, and so how many there may be; each takes as much memory as the one that serves."},
		{s, "access_log", choice(&h.AccessLog, haproxy.HTTPLog, haproxy.JSONLog), atOnce,
			"How HAProxy logs requests and connections: in its own format, or as a JSON object a line that names namespace, Service and the pod's address."},
	}
}

func (h *HTTP) keys() []key {
	const s = "http"
	return []key{
		{s, "bind", list(&h.Binds, `list of ":PORT", "IPv4:PORT" and "[IPv6]:PORT"`, binds, printBind, distinct), atOnce,
			"Where plain HTTP is served: \":80\" is every IPv4 address, \"[::]:80\" every IPv6 address, an empty list nowhere."},
		{s, "relay", scalar(&h.Relay, `"IPv4:PORT" or "[IPv6]:PORT", loopback, or empty`, fromString(relay), printRelay), atOnce,
			"A loopback address on which a worker that a reload retired hands the last requests of its connections to the one that serves; empty for none, then it answers them by the routes and servers that it had."},
		{s, "not_found", text(&h.NotFound, "absolute path", orEmpty(haproxyPath)), atOnce,
			"The file with the body of the 404 page for what no Service claims; empty for a line of text."},
	}
}

func (t *TCP) keys() []key {
	const s = "tcp"
	return []key{
		{s, "addresses", list(&t.Addresses, "list of IP addresses", fromString(address), quoteStringer, distinct), atOnce,
			"Where TCP frontends listen: \"0.0.0.0\" is every IPv4 address, \"::\" every IPv6 address."},
		{s, "allowed_ports", list(&t.AllowedPorts, `list of ports, 1 to 65535, and ranges like "7000-7100"`, ports, printPorts, mergePorts), atOnce,
			"The ports that Services may ask for by the tcp annotation; empty for none."},
	}
}

func (d *Defaults) keys() []key {
	const s = "defaults"
	return []key{
		{s, "algorithm", choice(&d.Algorithm, haproxy.Balances()...), atOnce,
			"How a backend spreads its load over its servers."},
		{s, "check", boolean(&d.Check), atOnce,
			"Whether servers are health checked."},
		{s, "check_interval", duration(&d.CheckInterval, 100*time.Millisecond, time.Hour), atOnce,
			"The time between two health checks of a server."},
		{s, "cookie", text(&d.Cookie, "1 to 64 letters, digits and ._-", cookieName), atOnce,
			"The name of the cookie that keeps a client on its server."},
		{s, "cookie_key", text(&d.CookieKey, "1 to 128 letters, digits and ._/+@:,=-", cookieKey), atOnce,
			"The key of the hash that the cookie holds; give every edge node the same."},
		{s, "maxconn", integer(&d.MaxConn, 0, 1_000_000), atOnce,
			"The most connections to one server at a time; 0 is without limit."},
		{s, "timeout_client", duration(&d.TimeoutClient, time.Second, 24*time.Hour), atOnce,
			"How long a client may be silent while it is its turn."},
		{s, "timeout_server", duration(&d.TimeoutServer, time.Second, 24*time.Hour), atOnce,
			"How long a server may be silent while it is its turn."},
		{s, "timeout_connect", duration(&d.TimeoutConnect, 100*time.Millisecond, 5*time.Minute), atOnce,
			"How long a connection to a server may take."},
		{s, "timeout_http_request", duration(&d.TimeoutHTTPRequest, 100*time.Millisecond, time.Hour), atOnce,
			"How long a client may take to send the head of a request."},
		{s, "timeout_keep_alive", duration(&d.TimeoutKeepAlive, 100*time.Millisecond, 24*time.Hour), atOnce,
			"How long an idle client connection waits for its next request; keep it over the idle timeout of a load balancer in front."},
		{s, "timeout_tunnel", duration(&d.TimeoutTunnel, time.Second, 7*24*time.Hour), atOnce,
			"How long a WebSocket or a TCP connection may be silent in both directions."},
	}
}

func (f *Safety) keys() []key {
	const s = "safety"
	return []key{
		{s, "max_removal", integer(&f.MaxRemoval, 1, 100), atOnce,
			"How many percent of the servers, or of the Services that have one, may go at once; what is more is held. 100 holds nothing."},
		{s, "from_count", integer(&f.FromCount, 1, 1_000_000), atOnce,
			"How many servers, or Services, there must be in service for max_removal to count; fewer may all go."},
		{s, "hold_time", duration(&f.HoldTime, 0, 24*time.Hour), atOnce,
			"How long a removal is held; then the cluster is listed once more, and what is missing still goes. \"podgate confirm\" lets it go at once."},
		{s, "max_backends", integer(&f.MaxBackends, 1, 1_000_000), atOnce,
			"How many ports of Services one namespace may have served; the oldest Services come first."},
		{s, "max_routes", integer(&f.MaxRoutes, 1, 1_000_000), atOnce,
			"How many routes, hosts times paths, one namespace may have; the oldest Services come first."},
		{s, "max_endpoints", integer(&f.MaxEndpoints, 1, 1_000_000), atOnce,
			"How many servers one port of a Service may have; those that are ready come first."},
		{s, "networks", list(&f.Networks, "list of networks", fromString(network), quoteStringer, sortedNetworks), atOnce,
			"The networks that pods are in; an endpoint elsewhere is served for nobody. Empty for everywhere."},
	}
}

// grantKeys returns the keys of [[grant]], bound to the fields of g.
func grantKeys(g *Grant) []key {
	const s = grantSection
	return []key{
		{s, "namespace", text(&g.Namespace, `namespace, or "*" for all, required`, namespaceOrAll), atOnce,
			"The namespace whose Services may claim what is listed."},
		{s, "hosts", list(&g.Hosts, "list of host names", fromString(host), quote, finishHosts), atOnce,
			"Hosts; \"*.example.com\" is every name below example.com. With any grant of hosts, a host without one is served for nobody."},
		{s, "paths", list(&g.Paths, "list of path prefixes", fromString(pathPrefix), printPath, finishGranted), atOnce,
			"Paths below which Services without a host may be reached, their own names among them. With any grant of paths, such a path without one is served for nobody."},
		{s, "tcp_ports", list(&g.TCPPorts, `list of ports, 1 to 65535, and ranges like "7000-7100"`, ports, printPorts, finishGrantedPorts), atOnce,
			"Ports of tcp.allowed_ports. With any grant of ports, a port without one is served for nobody."},
		{s, "annotations", list(&g.Annotations, "list of annotations, without prefix and port", fromString(annotationName), quote, finishGranted), atOnce,
			"Annotations. With any grant of annotations, one without it is told and does not count; ignore always does."},
	}
}

func (a *Admin) keys() []key {
	const s = "admin"
	return []key{
		{s, "listen", list(&a.Listen, `list of ":PORT", "IPv4:PORT" and "[IPv6]:PORT"`, binds, printBind, distinct), afterRestart,
			"Where the status page, JSON and metrics are served, read-only and without TLS or passwords; an empty list nowhere."},
		{s, "hosts", list(&a.Hosts, "list of host names", fromString(ownName), quote, distinct[string]), afterRestart,
			"Further names under which the page may be asked for; localhost, this machine's name and addresses are known."},
		{s, "socket", text(&a.Socket, "absolute path, or empty", orEmpty(absolutePath)), afterRestart,
			"The control socket, on which podgate status and podgate explain ask; empty for none."},
		{s, "history", text(&a.History, "absolute path, or empty", orEmpty(absolutePath)), afterRestart,
			"The file that keeps what happened over a restart; empty to forget it."},
	}
}

func (l *Log) keys() []key {
	const s = "log"
	return []key{
		{s, "level", level(&l.Level), atOnce,
			"The least important messages that are logged."},
		{s, "format", choice(&l.Format, LogText, LogJSON), afterRestart,
			"Lines of key=value, or one JSON object per line."},
	}
}
