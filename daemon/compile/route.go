// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"

	"podgate/haproxy"
)

// maxRoutes is how many routes one port may have: hosts times paths.
const maxRoutes = 1000

// claimed is where a port wants to be reached.
type claimed struct {
	routes []haproxy.Route // without Backend
	from   annotation      // what asked for them; zero where the Service's name did
}

// readRoutes reads where an HTTP port is reached. It reports false for a port
// that must not be reached at all: a host or a path that cannot be used never
// becomes a route that takes more than it did.
func readRoutes(r *annotationReader, cfg *input, sec secure) (claimed, bool) {
	hosts, hostsFrom, hostsOK := readHosts(r, cfg)
	paths, pathsFrom, pathsOK := readPaths(r)
	rewrite := optional(r, keyRewrite, parseRewrite)
	if !hostsOK || !pathsOK {
		return claimed{}, false
	}
	if sec.passthrough {
		return passedThrough(r, sec, hosts, hostsFrom)
	}
	c := claimed{from: hostsFrom}
	defaultRewrite := haproxy.Rewrite("")
	switch {
	case paths != nil:
		if c.from.written == "" {
			c.from = pathsFrom
		}
	case hosts != nil:
		paths = []pathMatch{{}}
	default:
		paths = []pathMatch{{path: servicePath(r)}}
		defaultRewrite = "/"
	}
	if hosts == nil {
		hosts = []haproxy.HostPattern{""}
		if paths = grantedPaths(r, cfg, c.from, paths); paths == nil {
			return claimed{}, false
		}
	}
	if rewrite.or("") != "" && rewrite.value != "/" && slices.ContainsFunc(paths, pathMatch.everything) {
		r.report(Invalid, rewrite.annotation, "%s has no path to replace where every path is taken", quote(string(rewrite.value)))
	}
	if n := len(hosts) * len(paths); n > maxRoutes {
		r.reportPort(Invalid, c.from, "its hosts and paths make %d routes, more than %d; the port is not served", n, maxRoutes)
		return claimed{}, false
	}
	c.routes = routesTo(hosts, paths, rewrite.or(defaultRewrite))
	for i := range c.routes {
		c.routes[i].TLS = sec.sslTerm
	}
	return c, true
}

// grantedPaths are those paths that the namespace may claim under any host, nil
// where there are none. One that matches in any case needs a grant for what it is
// in lower case.
func grantedPaths(r *annotationReader, cfg *input, from annotation, paths []pathMatch) []pathMatch {
	var granted []pathMatch
	for _, p := range paths {
		if cfg.GrantsPath(r.service.Namespace, p.path) {
			granted = append(granted, p)
			continue
		}
		r.reportPort(NotGranted, from, "path %s/ without a host is not granted to namespace %s in podgate.toml", p.path, r.service.Namespace)
	}
	if granted == nil {
		r.reportPort(NotGranted, from, "no path is left; the port is not served")
	}
	return granted
}

// routesTo makes a route of every host with every path.
func routesTo(hosts []haproxy.HostPattern, paths []pathMatch, rewrite haproxy.Rewrite) []haproxy.Route {
	routes := make([]haproxy.Route, 0, len(hosts)*len(paths))
	for _, host := range hosts {
		for _, p := range paths {
			routes = append(routes, haproxy.Route{
				Host: host, Path: p.path, FoldCase: p.foldCase, Rewrite: effective(rewrite, p),
			})
		}
	}
	return routes
}

// effective takes away a rewrite that would change nothing.
func effective(rewrite haproxy.Rewrite, p pathMatch) haproxy.Rewrite {
	if p.everything() || string(rewrite) == string(p.path) && !p.foldCase {
		return ""
	}
	return rewrite
}

// servicePath is where a port without host and path is reached.
func servicePath(r *annotationReader) haproxy.PathPrefix {
	path := "/" + r.service.Name
	if r.port.Port != 80 {
		path += ":" + portNumber(r.port)
	}
	return haproxy.PathPrefix(path)
}

// readHosts reads the hosts of a port, nil where it asks for none. It reports
// false where it asks for some and none is left.
func readHosts(r *annotationReader, cfg *input) (hosts []haproxy.HostPattern, from annotation, ok bool) {
	list := required(r, keyHost, parseList)
	if !list.given || list.bad {
		return nil, list.annotation, !list.bad
	}
	for _, element := range list.value {
		host, err := parseHost(element)
		switch {
		case err != nil:
			r.report(Invalid, list.annotation, "%s", err)
		case !cfg.GrantsHost(r.service.Namespace, host):
			r.report(NotGranted, list.annotation, "host %s is not granted to namespace %s in podgate.toml", host, r.service.Namespace)
		case !slices.Contains(hosts, host):
			hosts = append(hosts, host)
		}
	}
	r.record(list.annotation, hosts, nil) // what is left of the list
	if hosts == nil {
		r.reportPort(Invalid, list.annotation, "no host is left; the port is not served")
	}
	return hosts, list.annotation, hosts != nil
}

// readPaths reads the paths of a port, those of the ancestor's aclMatch
// included, nil where it asks for none. It reports false where it asks for
// some and none is left.
func readPaths(r *annotationReader) (paths []pathMatch, from annotation, ok bool) {
	list := required(r, keyPath, parseList)
	acl := required(r, keyACLMatch, parseACLMatch)
	from = list.annotation
	for _, element := range list.value {
		path, err := parsePath(element)
		if err != nil {
			r.report(Invalid, list.annotation, "%s", err)
			continue
		}
		paths = append(paths, pathMatch{path: path})
	}
	if list.given && !list.bad {
		r.record(list.annotation, paths, nil) // what is left of the list
	}
	if list.given && !list.bad && paths == nil {
		r.reportPort(Invalid, list.annotation, "no path is left; the port is not served")
	}
	if !list.given {
		from = acl.annotation
	}
	if list.bad || acl.bad || list.given && paths == nil {
		return nil, from, false
	}
	return unique(append(paths, acl.value...)), from, true
}

// parseList is splitList as a parser: of a list, each element is right or
// wrong by itself.
func parseList(value string) ([]string, error) { return splitList(value), nil }

// unique keeps the first of equal elements, in place.
func unique(paths []pathMatch) []pathMatch {
	seen := make(map[pathMatch]bool, len(paths))
	return slices.DeleteFunc(paths, func(p pathMatch) bool {
		if seen[p] {
			return true
		}
		seen[p] = true
		return false
	})
}
