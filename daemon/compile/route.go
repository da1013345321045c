// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"

	"podgate/haproxy"
)

// maxRoutes is the maximum number of routes of one port: hosts times paths.
const maxRoutes = 1000

// routing is the routes of an HTTP port, and the annotations that set them, which are the
// zero value if the Service's name does.
type routing struct {
	routes      []haproxy.Route // without Backend
	from        annotation      // that sets routes
	anyHostFrom annotation      // that sets the routes without a host

	// path of the Service's name if the port has it below its hosts, too; a port that does
	// not get a host does not get this path below it
	named haproxy.PathPrefix
}

// readRoutes returns the routes of an HTTP port. It reports false for a port that must not
// be served: an invalid host or path must not become a route for more requests.
func readRoutes(r *annotationReader, sec secure) (routing, bool) {
	if likeAncestor(r, sec) {
		return ancestorRoutes(r, sec)
	}
	routes, from, ok := readOwnRoutes(r, sec)
	return routing{routes: routes, from: from, anyHostFrom: from}, ok
}

// readOwnRoutes returns the routes of a port, and the annotation that sets them.
func readOwnRoutes(r *annotationReader, sec secure) ([]haproxy.Route, annotation, bool) {
	hosts, hostsFrom, hostsOK := readHosts(r)
	paths, pathsFrom, pathsOK := readPaths(r)
	rewrite := optional(r, keyRewrite, parseRewrite)
	if !hostsOK || !pathsOK {
		return nil, annotation{}, false
	}
	if sec.passthrough {
		return passthroughRoutes(r, hosts, hostsFrom)
	}
	from := hostsFrom
	defaultRewrite := haproxy.Rewrite("")
	switch {
	case paths != nil:
		if from.written == "" {
			from = pathsFrom
		}
	case hosts != nil:
		paths = []pathMatch{{}}
	default:
		paths = []pathMatch{{path: servicePath(r)}}
		defaultRewrite = "/"
	}
	if hosts == nil {
		hosts = []haproxy.HostPattern{""}
		if paths = grantedPaths(r, from, paths); paths == nil {
			r.reportPort(NotGranted, from, "has no granted path; the port is not served")
			return nil, from, false
		}
	}
	if rewrite.or("") != "" && rewrite.value != "/" && slices.ContainsFunc(paths, pathMatch.everything) {
		r.report(Invalid, rewrite.annotation, "%s has no effect because the port serves every path", quote(string(rewrite.value)))
	}
	if n := len(hosts) * len(paths); n > maxRoutes {
		r.reportPort(Invalid, from, "its hosts and paths make %d routes, more than %d; the port is not served", n, maxRoutes)
		return nil, from, false
	}
	routes := make([]haproxy.Route, 0, len(hosts)*len(paths))
	for _, host := range hosts {
		for _, p := range paths {
			routes = append(routes, haproxy.Route{
				TLS: sec.sslTerm, Host: host, Path: p.path, FoldCase: p.foldCase, Rewrite: effective(rewrite.or(defaultRewrite), p),
			})
		}
	}
	return routes, from, true
}

// grantedPaths returns the paths that the namespace may claim for every host; nil
// for none. A path in any case needs a grant for the path in lower case.
func grantedPaths(r *annotationReader, from annotation, paths []pathMatch) []pathMatch {
	var granted []pathMatch
	for _, p := range paths {
		if r.in.GrantsPath(r.service.Namespace, p.path) {
			granted = append(granted, p)
			continue
		}
		r.reportPort(NotGranted, from, "path %s/ without a host is not granted to namespace %s in podgate.toml", p.path, r.service.Namespace)
	}
	return granted
}

// effective returns "" for a rewrite that changes nothing.
func effective(rewrite haproxy.Rewrite, p pathMatch) haproxy.Rewrite {
	if p.everything() || string(rewrite) == string(p.path) && !p.foldCase {
		return ""
	}
	return rewrite
}

// servicePath is the path of a port without host and path annotations.
func servicePath(r *annotationReader) haproxy.PathPrefix {
	path := "/" + r.service.Name
	if r.port.Port != 80 {
		path += ":" + portNumber(r.port)
	}
	return haproxy.PathPrefix(path)
}

// readHosts returns the hosts of a port, nil if it has no host annotation. It
// reports false if the annotation has no valid and granted host.
func readHosts(r *annotationReader) (hosts []haproxy.HostPattern, from annotation, ok bool) {
	list := required(r, keyHost, parseHosts)
	if list.valid() && list.annotation.value == "" && r.in.Compatibility.ServiceLoadbalancer {
		return nil, annotation{}, true
	}
	if !list.valid() {
		return nil, list.annotation, !list.bad
	}
	for _, element := range list.value {
		reported := len(r.problems)
		host, err := parseHost(element)
		switch {
		case err != nil:
			r.report(Invalid, list.annotation, "%s", err)
		case !r.in.GrantsHost(r.service.Namespace, host):
			r.report(NotGranted, list.annotation, "host %s is not granted to namespace %s in podgate.toml", host, r.service.Namespace)
		case !slices.Contains(hosts, host):
			hosts = append(hosts, host)
		}
		if len(r.problems) > reported {
			r.problems[reported].Host = element
		}
	}
	r.record(list.annotation, hosts, nil) // of the list, what is valid
	if hosts == nil {
		r.reportPort(Invalid, list.annotation, "has no usable host; the port is not served")
	}
	return hosts, list.annotation, hosts != nil
}

// readPaths returns the paths of a port, with those of aclMatch, nil if it has
// neither annotation. It reports false if path has no valid path, or aclMatch is
// invalid.
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
	if list.valid() {
		r.record(list.annotation, paths, nil) // of the list, what is valid
		if paths == nil {
			r.reportPort(Invalid, list.annotation, "has no usable path; the port is not served")
		}
	}
	if !list.given {
		from = acl.annotation
	}
	if list.bad || acl.bad || list.given && paths == nil {
		return nil, from, false
	}
	return unique(append(paths, acl.value...)), from, true
}

// parseList splits a list. Its elements are valid or invalid on their own.
func parseList(value string) ([]string, error) { return splitList(value), nil }

// unique removes duplicates, in place.
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
