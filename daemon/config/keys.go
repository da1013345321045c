// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"time"

	"podgate/haproxy"
)

// key is one key of podgate.toml. The parser, the suggestions for misspelt keys,
// and the tests of the packaged example and the manual all use this table.
type key struct {
	section string
	name    string
	field   field
	effect  effect
	doc     string // one sentence
}

// effect is when a changed value takes effect.
type effect string

const (
	immediately  effect = "immediately"
	atReload     effect = "with the next reload"
	afterRestart effect = "after a restart"
)

// grantSection is the only section that can be repeated.
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
		c.Stats.keys(),
		c.Upstream.keys(),
		c.Peers.keys(),
		c.Compatibility.keys(),
		c.Log.keys(),
	)
}

func (k *Kubernetes) keys() []key {
	const s = "kubernetes"
	return []key{
		{s, "kubeconfig", text(&k.Kubeconfig, "absolute path", orEmpty(absolutePath)), immediately,
			"Kubeconfig file with the API server and the credentials. Set either kubeconfig or server."},
		{s, "context", text(&k.Context, "name", contextName), immediately,
			"Context of the kubeconfig to use; empty for its current context."},
		{s, "server", oneOrMore(&k.Servers, "http or https URL without a path, or a list of them", fromString(serverURL), quote, distinct[string]), immediately,
			"The API server, or a list of the API servers of one cluster: when one fails, podgate switches to the next. Set either server or kubeconfig."},
		{s, "ca_file", text(&k.CAFile, "absolute path", orEmpty(absolutePath)), immediately,
			"File with the CA certificates that verify server, in PEM; empty for the CAs that the system trusts."},
		{s, "token_file", text(&k.TokenFile, "absolute path", orEmpty(absolutePath)), immediately,
			"File with the bearer token for server; podgate re-reads it when it changes."},
		{s, "client_certificate", text(&k.ClientCertificate, "absolute path", orEmpty(absolutePath)), immediately,
			"File with the client certificate for server, in PEM; requires client_key."},
		{s, "client_key", text(&k.ClientKey, "absolute path", orEmpty(absolutePath)), immediately,
			"File with the private key of client_certificate, in PEM."},
		{s, "namespaces", list(&k.Namespaces, `list of namespaces, or ["*"] for all`, fromString(namespaceOrAll), quote, finishNamespaces), immediately,
			"Namespaces whose Services podgate serves."},
		{s, "selector", text(&k.Selector, "label selector as for kubectl -l", orEmpty(selector)), immediately,
			"podgate serves only Services whose labels match; empty matches every Service."},
		{s, "expose", choice(&k.Expose, ExposeAll, ExposeAnnotated), immediately,
			"\"all\" serves every Service that is not ignored; \"annotated\" serves only Services with an annotation of podgate."},
		{s, "watch", boolean(&k.Watch), immediately,
			"Whether podgate watches the API server for changes. With false, it lists the cluster every poll_interval instead."},
		{s, "poll_interval", duration(&k.PollInterval, time.Second, time.Hour), immediately,
			"Time between two lists of the cluster while there is no watch, and between two reads of a Secret with a certificate. Without a watch, it is also the longest delay before podgate retries an API server that failed; with a watch, the longest delay is 1.5s."},
		{s, "resync_interval", duration(&k.ResyncInterval, time.Minute, 24*time.Hour), immediately,
			"Time between two complete lists of the cluster in addition to the watch, and between two comparisons with the running HAProxy."},
		{s, "max_size", size(&k.MaxSize, 16*MB, 64*GB), immediately,
			"Maximum memory for what podgate reads from the API server. podgate closes a connection that sends more, reports it, and keeps what it has."},
	}
}

func (h *HAProxy) keys() []key {
	const s = "haproxy"
	return []key{
		{s, "folder", text(&h.Folder, "absolute path", folder), afterRestart,
			"Folder with podgate's files for HAProxy, which HAProxy loads by an additional -f. Only podgate may write to it, and only one podgate may run with it."},
		{s, "admin_socket", text(&h.AdminSocket, "absolute path", socket), afterRestart,
			"Path of HAProxy's stats socket with level admin."},
		{s, "master_socket", text(&h.MasterSocket, "absolute path", socket), afterRestart,
			"Path of the socket of HAProxy's master CLI, through which podgate reloads HAProxy."},
		{s, "binary", text(&h.Binary, "absolute path", haproxyPath), afterRestart,
			"Path of the haproxy program, with which podgate validates a configuration before HAProxy loads it."},
		{s, "config", list(&h.Files, "list of absolute paths", fromString(haproxyPath), quote, distinct[string]), afterRestart,
			"Your own configuration files, which HAProxy loads before folder. podgate validates them together with its own files and never writes to them."},
		{s, "error_files", text(&h.ErrorFolder, "absolute path", orEmpty(haproxyPath)), immediately,
			"Folder with CODE.http files that replace HAProxy's error pages; empty for HAProxy's own."},
		{s, "reload_interval", duration(&h.ReloadInterval, 0, 10*time.Minute), immediately,
			"Upper bound of the time between two reloads of HAProxy. podgate waits three times as long as the last reload took, and twice as long for each old worker after the first, but never longer than this. It combines the changes that need a reload in the meantime into one reload. 0s does not delay reloads."},
		{s, "hard_stop_after", duration(&h.HardStopAfter, 0, 168*time.Hour), immediately,
			"Maximum lifetime of an old worker after a reload; then HAProxy closes its remaining connections. 0s is no limit."},
		{s, "max_worker_reloads", integer(&h.MaxWorkerReloads, 1, 1000), immediately,
			"Maximum number of reloads that an old worker survives, and so the maximum number of old workers. Each uses as much memory as the current worker."},
		{s, "spare_backends", integer(&h.SpareBackends, 0, 1000), atReload,
			"Number of empty backends that HAProxy before 3.4 loads in reserve, for each set of settings that Services share: a new Service with such settings takes one, without a reload. 16 of them use about 0.2 MB of HAProxy's memory with 2 threads, and 0.4 MB with 16. 0 disables them."},
		{s, "access_log", choice(&h.AccessLog, haproxy.HTTPLog, haproxy.JSONLog), immediately,
			"Format in which HAProxy logs requests and connections: its own, or one JSON object per line with the namespace, the Service and the address of the pod."},
	}
}

func (h *HTTP) keys() []key {
	const s = "http"
	return []key{
		{s, "bind", bindList(&h.Binds), immediately,
			"Addresses of the plain HTTP frontend: \":80\" is every IPv4 address, \"[::]:80\" every IPv6 address. An empty list disables the frontend."},
		{s, "relay", relayAddr(&h.Relay), immediately,
			"Loopback address through which an old worker forwards the last request of an idle connection to the current worker. If empty, the old worker answers this request with its own, older routes and servers."},
		{s, "default_status", status(&h.DefaultStatus), immediately,
			"Status of the response to requests that match no route."},
		{s, "not_found", text(&h.NotFound, "absolute path", orEmpty(haproxyPath)), immediately,
			"File with the body of the response to requests that match no route; empty for one line of text."},
		{s, "ambiguous_paths", choice(&h.AmbiguousPaths, PassAmbiguous, RejectAmbiguous), immediately,
			"\"reject\" answers 400 to requests whose path pods may take for another path: it contains %2F, %5C, %00, a semicolon, a backslash or an empty segment (//). \"pass\" routes the path as it is."},
	}
}

func (t *TCP) keys() []key {
	const s = "tcp"
	return []key{
		{s, "addresses", list(&t.Addresses, "list of IP addresses", fromString(address), quoteStringer, distinct), immediately,
			"Addresses that TCP frontends listen on: \"0.0.0.0\" is every IPv4 address, \"::\" every IPv6 address."},
		{s, "allowed_ports", list(&t.AllowedPorts, `list of ports, 1 to 65535, and ranges like "7000-7100"`, ports, printPorts, mergePorts), immediately,
			"Ports that Services may claim with the annotation tcp; empty for none."},
		{s, "service", tcpServices(&t.Services), immediately,
			"Service ports with a TCP frontend, for Services whose annotations you cannot edit; each has the keys namespace, name, port and listen."},
	}
}

func (d *Defaults) keys() []key {
	const s = "defaults"
	return []key{
		{s, "algorithm", choice(&d.Algorithm, haproxy.Balances()...), immediately,
			"Load balancing algorithm of a backend, as for HAProxy's balance."},
		{s, "check", boolean(&d.Check), immediately,
			"Whether HAProxy checks the health of servers."},
		{s, "check_interval", duration(&d.CheckInterval, 100*time.Millisecond, time.Hour), immediately,
			"Time between two health checks of a server."},
		{s, "cookie", text(&d.Cookie, "1 to 64 letters, digits and ._-", cookieName), immediately,
			"Name of the cookie that keeps a client on its server. For clients it is followed by - and a hash of the Service port, because a client keeps only one cookie of a name for a host; the annotation cookie-name replaces the whole name."},
		{s, "cookie_key", text(&d.CookieKey, "1 to 128 letters, digits and ._/+@:,=-", cookieKey), immediately,
			"Key of the hash that is the value of the cookie. Use the same key on every edge node."},
		{s, "maxconn", integer(&d.MaxConn, 0, 1_000_000), immediately,
			"Maximum number of concurrent connections to one server; 0 is no limit."},
		{s, "timeout_client", duration(&d.TimeoutClient, time.Second, 24*time.Hour), immediately,
			"Inactivity timeout when the client is expected to acknowledge or send data."},
		{s, "timeout_server", duration(&d.TimeoutServer, time.Second, 24*time.Hour), immediately,
			"Inactivity timeout when the server is expected to acknowledge or send data."},
		{s, "timeout_connect", duration(&d.TimeoutConnect, 100*time.Millisecond, 5*time.Minute), immediately,
			"Maximum time to wait for a connection to a server to be established."},
		{s, "timeout_queue", duration(&d.TimeoutQueue, 100*time.Millisecond, 24*time.Hour), immediately,
			"Maximum time that a request or connection waits for a connection to a server when all have maxconn connections."},
		{s, "timeout_http_request", duration(&d.TimeoutHTTPRequest, 100*time.Millisecond, time.Hour), immediately,
			"Maximum time to wait for the complete headers of an HTTP request."},
		{s, "timeout_keep_alive", duration(&d.TimeoutKeepAlive, 100*time.Millisecond, 24*time.Hour), immediately,
			"Maximum time to wait for the next request on a client connection. Set it longer than the idle timeout of a load balancer in front."},
		{s, "timeout_tunnel", duration(&d.TimeoutTunnel, time.Second, 7*24*time.Hour), immediately,
			"Inactivity timeout of WebSocket and TCP connections, in both directions."},
	}
}

func (f *Safety) keys() []key {
	const s = "safety"
	return []key{
		{s, "max_removal", integer(&f.MaxRemoval, 1, 100), immediately,
			"Percentage of all servers, or of all backends with servers, that one change may remove. podgate holds a larger removal; with 100 it holds none."},
		{s, "from_count", integer(&f.FromCount, 1, 1_000_000), immediately,
			"Minimum number of servers, or of backends with servers, for max_removal to apply to them."},
		{s, "hold_time", duration(&f.HoldTime, 0, 24*time.Hour), immediately,
			"How long podgate holds a removal. Then it lists the cluster again, and removes what is still missing. \"podgate confirm\" applies the removal immediately."},
		{s, "max_backends", integer(&f.MaxBackends, 1, 1_000_000), immediately,
			"Maximum number of Service ports that are served per namespace; the oldest Services take precedence."},
		{s, "max_routes", integer(&f.MaxRoutes, 1, 1_000_000), immediately,
			"Maximum number of routes (hosts times paths) per namespace; the oldest Services take precedence."},
		{s, "max_conditional_routes", integer(&f.MaxConditionalRoutes, 1, 1_000_000), immediately,
			"Maximum number of routes per namespace that depend on the method, a header, the query or a regular expression for the path; the oldest objects take precedence. Routes of Services do not."},
		{s, "max_total_conditional_routes", integer(&f.MaxTotalConditionalRoutes, 1, 1_000_000), immediately,
			"Maximum number of such routes of all namespaces together. HAProxy tries up to a sixteenth of them for a request, at about 0.1 microseconds each."},
		{s, "max_endpoints", integer(&f.MaxEndpoints, 1, 1_000_000), immediately,
			"Maximum number of servers per Service port; ready endpoints take precedence."},
		{s, "max_servers", integer(&f.MaxServers, 1, 10_000_000), immediately,
			"Maximum number of servers per namespace; the oldest Services and ready endpoints take precedence. Each endpoint is a server of each port."},
		{s, "max_service_servers", integer(&f.MaxServiceServers, 1, 10_000_000), immediately,
			"Maximum number of servers of all ports of a Service; ready endpoints take precedence."},
		{s, "max_reload_time", duration(&f.MaxReloadTime, time.Millisecond, time.Hour), immediately,
			"Maximum time that the servers of a namespace may add to a reload of HAProxy, estimated from their number; the oldest Services and ready endpoints take precedence."},
		{s, "max_size", size(&f.MaxSize, 64*KB, GB), immediately,
			"Maximum size of the backends and routes of a namespace in HAProxy's configuration, without servers; the oldest Services take precedence."},
		{s, "max_service_size", size(&f.MaxServiceSize, 16*KB, GB), immediately,
			"Maximum size of the backends and routes of a Service in HAProxy's configuration, without servers; its first ports take precedence."},
		{s, "host_ownership", choice(&f.HostOwnership, OwnedByNamespace, OwnedByNone), immediately,
			"\"namespace\" gives a host to the namespace that claims it first: no other namespace has routes below it, unless a grant shares it. \"shared\" decides about each path of a host separately. Without effect if podgate follows one namespace."},
		{s, "networks", networkList(&f.Networks), immediately,
			"Networks that contain the pods. podgate ignores endpoints outside of them, and reports them. Empty for every address that a pod can have. Loopback, link-local and other reserved addresses are served only if the list has them or a part of their network, and the addresses of this machine, of the API server and of metadata services only as a network of one address."},
	}
}

// grantKeys returns the keys of [[grant]], bound to the fields of g.
func grantKeys(g *Grant) []key {
	const s = grantSection
	return []key{
		{s, "namespace", text(&g.Namespace, `namespace, or "*" for all, required`, namespaceOrAll), immediately,
			"Namespace whose Services may claim what this grant lists."},
		{s, "hosts", list(&g.Hosts, "list of host names", fromString(host), quote, finishGranted), immediately,
			"Host names that Services may claim; \"*.example.com\" is every name below example.com. If any grant lists hosts, a Service can claim only hosts that are granted to its namespace."},
		{s, "paths", list(&g.Paths, "list of path prefixes", fromString(pathPrefix), printPath, finishGranted), immediately,
			"Path prefixes that Services without a host may claim; a prefix includes the paths below it. The default path, /NAME, needs a grant too. If any grant lists paths, a Service without a host can claim only paths that are granted to its namespace."},
		{s, "tcp_ports", list(&g.TCPPorts, `list of ports, 1 to 65535, and ranges like "7000-7100"`, ports, printPorts, finishGrantedPorts), immediately,
			"Ports of tcp.allowed_ports that Services may claim. If any grant lists ports, a Service can claim only ports that are granted to its namespace."},
		{s, "annotations", list(&g.Annotations, "list of annotations, without prefix and port", fromString(annotationName), quote, finishGranted), immediately,
			"Annotations that Services may use. If any grant lists annotations, a Service can use only ignore and the annotations that are granted to its namespace; podgate reports any other annotation and handles it as invalid."},
	}
}

func (a *Admin) keys() []key {
	const s = "admin"
	return []key{
		{s, "listen", bindList(&a.Listen), afterRestart,
			"Addresses of the status page, JSON and metrics, which are read-only and without TLS or passwords; empty for none."},
		{s, "hosts", list(&a.Hosts, "list of host names", fromString(ownName), quote, distinct[string]), afterRestart,
			"Additional host names that requests to the status page may use. localhost, and the name and the addresses of this machine, are always accepted."},
		{s, "socket", text(&a.Socket, "absolute path, or empty", orEmpty(absolutePath)), afterRestart,
			"Path of the control socket for podgate status and podgate explain; empty for none."},
		{s, "history", text(&a.History, "absolute path, or empty", orEmpty(absolutePath)), afterRestart,
			"File in which podgate keeps the history across restarts; empty keeps it in memory only."},
	}
}

func (l *Log) keys() []key {
	const s = "log"
	return []key{
		{s, "level", level(&l.Level), immediately,
			"Minimum severity of the messages that are logged."},
		{s, "format", choice(&l.Format, LogText, LogJSON), afterRestart,
			"Lines of key=value, or one JSON object per line."},
	}
}
