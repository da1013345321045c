// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"

	"podgate/haproxy"
)

// A spare is loaded as an empty backend. HAProxy shows its name in its own statistics; in
// the access log and in health checks a spare has the name of the backend that has taken
// it, from haproxy.SparesMap.

// nameInSpare is be_name, or the variable that only a spare sets. It is for log formats,
// and costs nothing before. HAProxy has no value for it, unlike for %b, if a client's bytes
// are not a request, and logs "-".
const nameInSpare nameOfBackend = "be_name,concat(|,txn.podgate_backend),word(-1,|)"

// spareRule returns the rule of every spare that sets the variable. Rules of this kind
// precede those of the class, which may reject the request.
func (d *document) spareRule() string {
	return fmt.Sprintf("tcp-request content set-var(txn.podgate_backend) be_name,map(%s)", d.mapFile(haproxy.SparesMap))
}

// notInSpare is the condition that the backend in the path of a health check is in no
// spare that has a server.
func (d *document) notInSpare(path string) string {
	if !d.spares {
		return ""
	}
	return fmt.Sprintf(" !{ path,regsub(^%s,),map(%s),nbsrv gt 0 }", backendPath(path), d.mapFile(haproxy.SparesMap))
}
