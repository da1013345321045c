// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"

	"podgate/haproxy"
)

// commonLogFields returns the fields of every line. A server has the address of its pod as
// its name. Text that clients choose is escaped. HAProxy 2.6 has no converter for
// milliseconds; all fields of a line have one date. %rc is a string because it is "+1"
// after a retry on another server, and HAProxy 2.6 has no number of retries.
func commonLogFields() string {
	return `"time":"%[date,utime(%Y-%m-%dT%H:%M:%S)].%[date(0,ms),mod(1000),add(1000),regsub(^1,)]Z","client":"%ci","client_port":%cp,` +
		`"frontend":"%f","backend":"%b","namespace":"` + backendField(1) + `","service":"` + backendField(2) + `","port":"` + backendField(3) + `",` +
		`"pod":"%s","bytes":%B,"bytes_in":%U,"ms_queue":%Tw,"ms_connect":%Tc,"retries":"%rc","termination":"%ts"`
}

const httpLogFields = `,"method":"%[capture.req.method,json(utf8s)]","host":"%[var(txn.podgate_host),json(utf8s)]",` +
	`"uri":"%[capture.req.uri,json(utf8s)]","status":%ST,"ms_request":%TR,"ms_response":%Tr,"ms_total":%Ta`

// backendField is a field of the name of a Service's backend, which is
// "namespace_service_port" unless an annotation sets another. A name of another form, as
// that of the frontend if there is no backend, has no such field, and HAProxy writes "-".
func backendField(number int) string {
	return fmt.Sprintf(`%%[be_name,regsub("^([^_]+)_([^_]+)_([0-9]+)$","|\1|\2|\3"),field(%d,|)]`, number+1)
}

// logFormat returns the lines for the format of s, with additional fields.
func logFormat(s haproxy.Settings, fields string) []string {
	if s.AccessLog != haproxy.JSONLog {
		return nil
	}
	if fields == "" {
		fields = `,"ms_total":%Tt`
	}
	return []string{"log-format '{" + commonLogFields() + fields + "}'"}
}
