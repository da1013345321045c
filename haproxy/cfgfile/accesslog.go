// SPDX-License-Identifier: Apache-2.0

package cfgfile

import "podgate/haproxy"

// commonLogFields are those of every line. A backend of its natural name is
// "namespace_service_port", none of which holds an underscore; a server is named
// by the address of its pod. What a client may choose is escaped.
const commonLogFields = `"time":"%[date,utime(%Y-%m-%dT%H:%M:%SZ)]","client":"%ci","client_port":%cp,` +
	`"frontend":"%f","backend":"%b","namespace":"%[be_name,field(1,_)]","service":"%[be_name,field(2,_)]","port":"%[be_name,field(3,_)]",` +
	`"pod":"%s","bytes":%B,"bytes_in":%U,"ms_queue":%Tw,"ms_connect":%Tc,"retries":"%rc","termination":"%ts"`

const httpLogFields = `,"method":"%[capture.req.method,json(utf8s)]","host":"%[var(txn.podgate_host),json(utf8s)]",` +
	`"uri":"%[capture.req.uri,json(utf8s)]","status":%ST,"ms_request":%TR,"ms_response":%Tr,"ms_total":%Ta`

// logFormat are the lines for the format that s asks for, with further fields.
func logFormat(s haproxy.Settings, fields string) []string {
	if s.AccessLog != haproxy.JSONLog {
		return nil
	}
	if fields == "" {
		fields = `,"ms_total":%Tt`
	}
	return []string{"log-format '{" + commonLogFields + fields + "}'"}
}
