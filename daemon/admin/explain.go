// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"podgate/daemon/config"
	"podgate/kubeapi"
)

// Explanation is the answer to podgate explain, as JSON. It has one of Service, URL
// and Servers.
type Explanation struct {
	SchemaVersion int               `json:"schema_version"`
	Of            string            `json:"of"`
	Service       *ExplainedService `json:"service,omitempty"`
	URL           *ExplainedURL     `json:"url,omitempty"`
	Servers       []FoundServer     `json:"servers,omitempty"` // of an address
}

// FoundServer is a Service with a server at an address.
type FoundServer struct {
	Service string        `json:"service"`
	Port    ExplainedPort `json:"port"`
}

var errNotRead = errors.New("podgate has not read the cluster yet")

// Explain explains how a Service ("shop/cart", or "cart" if one namespace has it), a
// URL, a host, or a server's address is served, and why. It asks HAProxy for its
// state. The error is for the user.
func Explain(ctx context.Context, v *View, q Query) (Explanation, error) {
	x := Explanation{SchemaVersion: SchemaVersion, Of: q.Of}
	if v == nil || v.Result == nil {
		return x, errNotRead
	}
	query := strings.TrimSpace(q.Of)
	if q.isRequest() && !isURL(query) {
		return x, errNotURL
	}
	if addr, ok := parseAddr(query); ok && !q.isRequest() {
		if x.Servers = findServers(ctx, v, addr); x.Servers != nil {
			return x, nil
		}
		if addr.Port() == 0 {
			return x, fmt.Errorf("no Service has a server at %s", addr.Addr())
		}
	}
	if isURL(query) {
		u, err := parseURL(query)
		if err != nil {
			return x, err
		}
		x.URL = explainURL(ctx, v, u, q)
		return x, nil
	}
	key, err := findService(v, query)
	if err != nil {
		return x, err
	}
	x.Service, err = explainService(ctx, v, key)
	return x, err
}

// isURL reports whether a query is a URL or a host, if it is no address.
func isURL(query string) bool {
	first, _, _ := strings.Cut(query, "/")
	return strings.Contains(query, "://") || strings.HasPrefix(query, "/") || strings.ContainsAny(first, ".[")
}

// parseAddr parses "10.2.9.103:8080", or an address without port, which is port 0.
func parseAddr(text string) (netip.AddrPort, bool) {
	if addr, err := netip.ParseAddrPort(text); err == nil {
		return addr, true
	}
	addr, err := netip.ParseAddr(text)
	return netip.AddrPortFrom(addr, 0), err == nil
}

func parseURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL", text)
	}
	switch u.Scheme {
	case "http", "https", "tcp":
		return u, nil
	}
	return nil, fmt.Errorf("%q: podgate serves http, https and tcp", text)
}

// findService returns the Service with that name. Its error suggests others.
func findService(v *View, text string) (kubeapi.Key, error) {
	namespace, name, qualified := strings.Cut(text, "/")
	if !qualified {
		namespace, name = "", text
	}
	name, _, _ = strings.Cut(name, ":")
	var found []kubeapi.Key
	var names []string
	for _, o := range v.Result.Overviews() {
		k := o.Object.Key
		if k.Name == name && (!qualified || k.Namespace == namespace) {
			found = append(found, k)
		}
		names = append(names, k.Name)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		all := make([]string, len(found))
		for i, k := range found {
			all[i] = k.String()
		}
		return kubeapi.Key{}, fmt.Errorf("several namespaces have a Service %s: %s", name, strings.Join(all, ", "))
	}
	k := v.Config.Kubernetes
	hint := fmt.Sprintf("podgate follows namespaces %s", strings.Join(k.Namespaces, ", "))
	if qualified && !slices.Contains(k.Namespaces, namespace) && !slices.Contains(k.Namespaces, "*") {
		hint = fmt.Sprintf("namespace %s is not in kubernetes.namespaces of podgate.toml: %s", namespace, strings.Join(k.Namespaces, ", "))
	}
	if k.Selector != "" {
		hint += ", and Services with the labels " + k.Selector
	}
	if near := config.Nearest(name, names); near != "" && near != name {
		hint += fmt.Sprintf("; did you mean %s?", near)
	}
	return kubeapi.Key{}, fmt.Errorf("no Service %s (%s)", text, hint)
}

// findServers returns the Services with a server at an address; port 0 is every port.
func findServers(ctx context.Context, v *View, addr netip.AddrPort) (found []FoundServer) {
	const most = 20
	for i, b := range v.Result.State.Backends.All() {
		if len(found) == most {
			break
		}
		for _, s := range b.Servers {
			if s.Addr.Addr() != addr.Addr() || addr.Port() != 0 && s.Addr.Port() != addr.Port() {
				continue
			}
			key := v.Result.Ports[i].Service
			x, ok := v.Result.Explain(key)
			if !ok {
				continue
			}
			for _, p := range x.Ports {
				if p.Backend == nil || p.Backend.Name != b.Name {
					continue
				}
				port, _ := explainPort(ctx, v, p)
				port.Servers = slices.DeleteFunc(port.Servers, func(e ExplainedServer) bool { return e.Addr != s.Addr.String() })
				found = append(found, FoundServer{Service: key.String(), Port: port})
			}
		}
	}
	return found
}

func orNone(s string) string { return cmp.Or(s, "none") }
