// SPDX-License-Identifier: Apache-2.0

package realapi

// NodeName is the one Node: the endpointslice controller ignores pods whose node does not
// exist.
const NodeName = "node-1"

// Pod returns a Pod on NodeName, because no scheduler runs, with the label app and with
// the container port "web".
func Pod(name, app string, port int) Object {
	return Object{
		"apiVersion": "v1",
		"kind":       "Pod",
		"metadata":   Object{"name": name, "labels": Object{"app": app}},
		"spec": Object{
			"nodeName":                     NodeName,
			"automountServiceAccountToken": false,
			"containers":                   []Object{{"name": "app", "image": "app", "ports": []Object{{"name": "web", "containerPort": port}}}},
		},
	}
}

// PodRunning returns the status of a Pod that is ready, with these addresses.
func PodRunning(addresses ...string) Object {
	var ips []Object
	for _, address := range addresses {
		ips = append(ips, Object{"ip": address})
	}
	return Object{"phase": "Running", "podIP": addresses[0], "podIPs": ips, "conditions": PodReady("True")}
}

// PodReady returns the conditions of a Pod whose condition Ready has this status.
func PodReady(status string) []Object { return []Object{{"type": "Ready", "status": status}} }
