// SPDX-License-Identifier: Apache-2.0

package cfgfile

import "podgate/haproxy"

// commonLogFields are the fields of every line. A backend is "namespace_service_port"
// unless it has a name of its own, and these three words contain no underscore. A
// server has the address of its pod as its name. Text that clients choose is escaped.
const commonLogFields = `"time":"%[date,utime(%Y-%m-%dT%H:%M:%SZ)]","client":"%ci","client_port":%cp,` +
	`"frontend":"%f","backend":"%b","namespace":"%[be_name,field(1,_)]","service":"%[be_name,field(2,_)]","port":"%[be_name,field(3,_)]",` +
	`"pod":"%s","bytes":%B,"bytes_in":%U,"ms_queue":%Tw,"ms_connect":%Tc,"retries":"%rc","termination":"%ts"`

const httpLogFields = `,"method":"%[capture.req.method,json(utf8s)]","host":"%[var(txn.podgate_host),json(utf8s)]",` +
	`"uri":"%[capture.req.uri,json(utf8s)]","status":%ST,"ms_request":%TR,"ms_response":%Tr,"ms_total":%Ta`

// logFormat returns the lines for the format of s, with additional fields.
func logFormat(s haproxy.Settings, fields string) []string {
	if s.AccessLog != haproxy.JSONLog {
		return nil
	}
	if fields == "" {
		fields = `,"ms_total":%Tt`
	}
	return []string{"log-format '{" + commonLogFields + fields + "}'"}
}
