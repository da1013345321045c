// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"podgate/haproxy"
)

// TCPService is a Service port with a TCP frontend that podgate.toml sets, and not an
// annotation.
type TCPService struct {
	Namespace, Name string
	Port            string // name or number of the Service port
	Listen          uint16 // port of the TCP frontend
}

// String is the Service port: "Service shop/db port postgres".
func (s TCPService) String() string {
	return fmt.Sprintf("Service %s/%s port %s", s.Namespace, s.Name, s.Port)
}

const tcpServiceSection = "tcp.service"

// keys are those of [[tcp.service]], which are all required.
func (s *TCPService) keys() []key {
	service := func(v string) (string, error) {
		if !haproxy.IsLabel(v) {
			return "", fmt.Errorf("%q is not the name of a Service (a-z, 0-9 and -, up to 63 characters)", v)
		}
		return v, nil
	}
	listen := func(v any) (uint16, error) {
		n, err := readInteger(v, 1, 65535)
		return uint16(n), err
	}
	printPort := func(n uint16) string { return strconv.Itoa(int(n)) }
	return []key{
		{tcpServiceSection, "namespace", text(&s.Namespace, "namespace", namespace), immediately, ""},
		{tcpServiceSection, "name", text(&s.Name, "name", service), immediately, ""},
		{tcpServiceSection, "port", scalar(&s.Port, "name or number", servicePort, quote), immediately, ""},
		{tcpServiceSection, "listen", scalar(&s.Listen, "port", listen, printPort), immediately, ""},
	}
}

// servicePort parses the name of a Service port (an IANA_SVC_NAME, RFC 6335 section 5.1),
// or its number.
func servicePort(v any) (string, error) {
	switch p := v.(type) {
	case int64:
		if p >= 1 && p <= 65535 {
			return strconv.FormatInt(p, 10), nil
		}
	case string:
		if n, err := strconv.ParseUint(p, 10, 16); err == nil && n > 0 && p == strconv.FormatUint(n, 10) {
			return p, nil
		}
		if haproxy.IsLabel(p) && strings.Trim(p, "0123456789-") != "" {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is not the name or the number of a Service port", literal(v))
}

// tcpServices is a field with a list of [[tcp.service]].
func tcpServices(p *[]TCPService) field {
	return field{
		accepts: "list of sections [[tcp.service]]",
		set: func(v value) {
			entries, ok := v.entries()
			if !ok {
				v.reject("is not a list of sections (write [[%s]])", tcpServiceSection)
				return
			}
			*p = nil
			for _, e := range entries {
				var s TCPService
				if e.doc.section(e, s.keys()) && s.complete(e) && s.distinct(e, *p) {
					*p = append(*p, s)
				}
			}
		},
		print: func() string {
			texts := make([]string, len(*p))
			for i := range *p {
				var words []string
				for _, k := range (*p)[i].keys() {
					words = append(words, k.name+" = "+k.field.print())
				}
				texts[i] = "{ " + strings.Join(words, ", ") + " }"
			}
			return "[" + strings.Join(texts, ", ") + "]"
		},
	}
}

// complete rejects an entry without one of its keys, and reports whether all have valid
// values.
func (s *TCPService) complete(v value) bool {
	table, _ := v.v.(map[string]any)
	for _, k := range s.keys() {
		if _, ok := table[k.name]; !ok {
			v.doc.reject(v.path, join(v.key, k.name), "is required")
			return false
		}
	}
	return s.Namespace != "" && s.Name != "" && s.Port != "" && s.Listen != 0
}

// distinct rejects an entry with a port of an earlier one, and reports false for it.
func (s *TCPService) distinct(v value, earlier []TCPService) bool {
	for _, o := range earlier {
		switch {
		case o.Listen == s.Listen:
			v.doc.reject(join(v.path, "listen"), join(v.key, "listen"), "%d is the port of %s already", s.Listen, o)
			return false
		case o.Namespace == s.Namespace && o.Name == s.Name && o.Port == s.Port:
			v.reject("%s is listed already", s)
			return false
		}
	}
	return true
}

// checkTCPServices rejects what no HAProxy can serve: an entry without addresses, in a
// namespace that podgate does not read, or with the port of another frontend.
func (d *document) checkTCPServices(c *Config, listeners []Listener) {
	const key = tcpServiceSection
	if d.valid("tcp.addresses") && len(c.TCP.Addresses) == 0 && len(c.TCP.Services) > 0 {
		d.reject("tcp.addresses", "tcp.addresses", "is empty, so that [[tcp.service]] has no effect")
	}
	section, _ := d.tree["tcp"].(map[string]any)
	entries, _ := value{d, key, key, section["service"]}.entries()
	for _, e := range entries {
		table, _ := e.v.(map[string]any)
		if name, ok := table["namespace"].(string); ok && haproxy.IsLabel(name) && d.valid("kubernetes.namespaces") &&
			!slices.Contains(c.Kubernetes.Namespaces, name) && !slices.Contains(c.Kubernetes.Namespaces, allNamespaces) {
			d.reject(join(e.path, "namespace"), join(key, "namespace"), "%q is not in kubernetes.namespaces", name)
		}
		for _, l := range listeners {
			if p, ok := table["listen"].(int64); ok && int64(l.Addr.Port()) == p {
				d.reject(join(e.path, "listen"), join(key, "listen"), "%d is in use by %s", p, l)
			}
		}
	}
}

// TCPService returns the entry of [[tcp.service]] for a Service port, which has a number
// and can have a name.
func (c *Config) TCPService(namespace, service, port string, number uint16) (TCPService, bool) {
	for _, s := range c.TCP.Services {
		if s.Namespace == namespace && s.Name == service && (s.Port == port || s.Port == strconv.Itoa(int(number))) {
			return s, true
		}
	}
	return TCPService{}, false
}
