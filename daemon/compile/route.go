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
	note   annotation      // what asked for them; zero where the Service's name did
}

// readRoutes reads where an HTTP port is reached. It reports false for a port
// that must not be reached at all: a host or a path that cannot be used never
// becomes a route that takes more than it did.
func readRoutes(r *reader, cfg *input, sec secure) (claimed, bool) {
	hosts, hostNote, hostsOK := readHosts(r, cfg)
	paths, pathNote, pathsOK := readPaths(r)
	rewrite := read(r, keyRewrite, parseRewrite)
	if !hostsOK || !pathsOK {
		return claimed{}, false
	}
	if sec.passthrough {
		return passedThrough(r, sec, hosts, hostNote)
	}
	c := claimed{note: hostNote}
	defaultRewrite := haproxy.Rewrite("")
	switch {
	case paths != nil:
		if c.note.written == "" {
			c.note = pathNote
		}
	case hosts != nil:
		paths = []pathMatch{{}}
	default:
		paths = []pathMatch{{path: servicePath(r)}}
		defaultRewrite = "/"
	}
	if hosts == nil {
		hosts = []string{""}
		if paths = grantedPaths(r, cfg, c.note, paths); paths == nil {
			return claimed{}, false
		}
	}
	if rewrite.or("") != "" && rewrite.value != "/" && slices.ContainsFunc(paths, pathMatch.everything) {
		r.tell(rewrite.note, "%s has no path to replace where every path is taken", quote(string(rewrite.value)))
	}
	if n := len(hosts) * len(paths); n > maxRoutes {
		r.tellPort(c.note, "its hosts and paths make %d routes, more than %d; the port is not served", n, maxRoutes)
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
func grantedPaths(r *reader, cfg *input, note annotation, paths []pathMatch) []pathMatch {
	var granted []pathMatch
	for _, p := range paths {
		if cfg.GrantsPath(r.service.Namespace, p.path) {
			granted = append(granted, p)
			continue
		}
		r.tellPort(note, "path %s/ without a host is not granted to namespace %s in podgate.toml", p.path, r.service.Namespace).Kind = NotGranted
	}
	if granted == nil {
		r.tellPort(note, "no path is left; the port is not served").Kind = NotGranted
	}
	return granted
}

// routesTo makes a route of every host with every path.
func routesTo(hosts []string, paths []pathMatch, rewrite haproxy.Rewrite) []haproxy.Route {
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
	if p.everything() || string(rewrite) == p.path && !p.foldCase {
		return ""
	}
	return rewrite
}

// servicePath is where a port without host and path is reached.
func servicePath(r *reader) string {
	path := "/" + r.service.Name
	if r.port.Port != 80 {
		path += ":" + portNumber(r.port)
	}
	return path
}

// readHosts reads the hosts of a port, nil where it asks for none. It reports
// false where it asks for some and none is left.
func readHosts(r *reader, cfg *input) (hosts []string, note annotation, ok bool) {
	list := readStrict(r, keyHost, parseList)
	if !list.given || list.bad {
		return nil, list.note, !list.bad
	}
	for _, element := range list.value {
		host, err := parseHost(element)
		switch {
		case err != nil:
			r.tell(list.note, "%s", err)
		case !cfg.GrantsHost(r.service.Namespace, host):
			r.tell(list.note, "host %s is not granted to namespace %s in podgate.toml", host, r.service.Namespace).Kind = NotGranted
		case !slices.Contains(hosts, host):
			hosts = append(hosts, host)
		}
	}
	r.recordReading(list.note, hosts, nil) // what is left of the list
	if hosts == nil {
		r.tellPort(list.note, "no host is left; the port is not served")
	}
	return hosts, list.note, hosts != nil
}

// readPaths reads the paths of a port, those of the ancestor's aclMatch
// included, nil where it asks for none. It reports false where it asks for
// some and none is left.
func readPaths(r *reader) (paths []pathMatch, note annotation, ok bool) {
	list := readStrict(r, keyPath, parseList)
	acl := readStrict(r, keyACLMatch, parseACLMatch)
	note = list.note
	for _, element := range list.value {
		path, err := parsePath(element)
		if err != nil {
			r.tell(list.note, "%s", err)
			continue
		}
		paths = append(paths, pathMatch{path: path})
	}
	if list.given && !list.bad {
		r.recordReading(list.note, paths, nil) // what is left of the list
	}
	if list.given && !list.bad && paths == nil {
		r.tellPort(list.note, "no path is left; the port is not served")
	}
	if !list.given {
		note = acl.note
	}
	if list.bad || acl.bad || list.given && paths == nil {
		return nil, note, false
	}
	return unique(append(paths, acl.value...)), note, true
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
