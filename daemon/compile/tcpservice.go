// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"strconv"

	"podgate/daemon/config"
	"podgate/kubeapi"
)

// readTCP returns the port of the TCP frontend of a Service port: the one that
// podgate.toml lists, for which it needs no permission, or that of the annotation.
func readTCP(r *annotationReader) (tcp setting[int], listed bool) {
	s, listed := r.in.TCPService(r.service.Namespace, r.service.Name, r.port.Name, r.port.Port)
	if !listed {
		return required(r, keyTCP, parseTCPPort), false
	}
	if a, given := r.annotations.forPort(keyTCP, r.port); given && a.value != strconv.Itoa(int(s.Listen)) {
		r.report(Conflict, a, "%s has no effect: podgate.toml sets TCP port %d for port %s", quote(a.value), s.Listen, portLabel(r.port))
		r.problems[len(r.problems)-1].TCPPort = s.Listen
	}
	return setting[int]{value: int(s.Listen), given: true}, true
}

// reportListed reports a port that podgate.toml lists, and that an annotation excludes.
func reportListed(r *annotationReader, a annotation) {
	if s, listed := r.in.TCPService(r.service.Namespace, r.service.Name, r.port.Name, r.port.Port); listed {
		r.reportPort(Conflict, a, "the port is not served, although [[tcp.service]] of podgate.toml lists it")
		r.problems[len(r.problems)-1].TCPPort = s.Listen
	}
}

// listedProblems returns those of problems that concern [[tcp.service]]. The others do not
// matter for a Service that is ignored.
func listedProblems(problems []Problem) []Problem {
	return slices.DeleteFunc(problems, func(p Problem) bool { return p.TCPPort == 0 })
}

// listedFor returns the Service port for which podgate.toml lists a TCP port.
func listedFor(in *input, listen uint16) (config.TCPService, bool) {
	i := slices.IndexFunc(in.TCP.Services, func(s config.TCPService) bool { return s.Listen == listen })
	if i < 0 {
		return config.TCPService{}, false
	}
	return in.TCP.Services[i], true
}

// listedPorts returns the ports of a Service that podgate.toml lists.
func listedPorts(in *input, svc *kubeapi.Service) []kubeapi.ServicePort {
	var ports []kubeapi.ServicePort
	for _, p := range svc.Ports {
		if _, ok := in.TCPService(svc.Namespace, svc.Name, p.Name, p.Port); ok {
			ports = append(ports, p)
		}
	}
	return ports
}

// unusedEntries returns a Problem for each entry of podgate.toml that sets no TCP port:
// its Service does not exist, or has no such port, or another entry sets that port.
func unusedEntries(in *input, svc *kubeapi.Service) []Problem {
	var problems []Problem
	for _, s := range in.TCP.Services {
		if s.Namespace != svc.Namespace || s.Name != svc.Name {
			continue
		}
		report := func(port, text string) {
			problems = append(problems, Problem{Kind: Invalid, Service: svc.Key, Port: port, Text: text, TCPPort: s.Listen})
		}
		switch i := slices.IndexFunc(svc.Ports, func(p kubeapi.ServicePort) bool { return p.Name == s.Port || portNumber(p) == s.Port }); {
		case i < 0:
			report("", quote(s.Port)+" in [[tcp.service]] of podgate.toml is not a port of this Service (its ports: "+portList(svc)+")")
		default:
			p := svc.Ports[i]
			if first, _ := in.TCPService(svc.Namespace, svc.Name, p.Name, p.Port); first != s {
				report(portLabel(p), "[[tcp.service]] of podgate.toml lists this port twice; TCP port "+strconv.Itoa(int(s.Listen))+" is not served")
			}
		}
	}
	return problems
}

// missingServices returns a Problem for each Service that podgate.toml lists and the
// cluster does not have.
func (m *merger) missingServices() []Problem {
	var problems []Problem
	for _, s := range m.in.TCP.Services {
		key := kubeapi.Key{Namespace: s.Namespace, Name: s.Name}
		if _, found := slices.BinarySearchFunc(m.services, key, func(s *service, k kubeapi.Key) int { return s.object.Compare(k) }); !found {
			problems = append(problems, Problem{
				Kind: Invalid, Service: key, Port: s.Port, TCPPort: s.Listen,
				Text: "[[tcp.service]] of podgate.toml lists this Service, which podgate does not find (kubernetes.selector can exclude it)",
			})
		}
	}
	return problems
}
