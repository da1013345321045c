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
func commonLogFields(name nameOfBackend) string {
	return `"time":"%[date,utime(%Y-%m-%dT%H:%M:%S)].%[date(0,ms),mod(1000),add(1000),regsub(^1,)]Z","client":"%ci","client_port":%cp,` +
		`"frontend":"%f","backend":"` + name.logged() + `","namespace":"` + name.field(1) + `","service":"` + name.field(2) + `","port":"` + name.field(3) + `",` +
		`"pod":"%s","bytes":%B,"bytes_in":%U,"ms_queue":%Tw,"ms_connect":%Tc,"retries":"%rc","termination":"%ts"`
}

const httpLogFields = `,"method":"%[capture.req.method,json(utf8s)]","host":"%[var(txn.podgate_host),json(utf8s)]",` +
	`"uri":"%[capture.req.uri,json(utf8s)]","status":%ST,"ms_request":%TR,"ms_response":%Tr,"ms_total":%Ta`

// nameOfBackend is an expression for the name of the backend of a request.
type nameOfBackend string

// ownName is for requests whose backend is in no spare.
const ownName nameOfBackend = "be_name"

// logged is the name in a log format.
func (n nameOfBackend) logged() string {
	if n == ownName {
		return "%b"
	}
	return "%[" + string(n) + "]"
}

// field is a field of the name of a Service's backend, which is
// "namespace_service_port" unless an annotation sets another. A name of another form, as
// that of the frontend if there is no backend, has no such field, and HAProxy writes "-".
func (n nameOfBackend) field(number int) string {
	return fmt.Sprintf(`%%[%s,regsub("^([^_]+)_([^_]+)_([0-9]+)$","|\1|\2|\3"),field(%d,|)]`, n, number+1)
}

// httpLog is HAProxy's format of "option httplog" (configuration.txt 8.2.3), with "%s" in
// place of the name of the backend.
const httpLog = `%%ci:%%cp [%%tr] %%ft %s/%%s %%TR/%%Tw/%%Tc/%%Tr/%%Ta %%ST %%B %%CC %%CS %%tsc %%ac/%%fc/%%bc/%%sc/%%rc %%sq/%%bq %%hr %%hs %%{+Q}r`

// httpLogFormat returns the lines for the format of s in HTTP mode.
func (d *document) httpLogFormat(s haproxy.Settings) []string {
	switch {
	case s.AccessLog == haproxy.JSONLog && d.spares:
		return jsonLog(nameInSpare, httpLogFields)
	case s.AccessLog == haproxy.JSONLog:
		return jsonLog(ownName, httpLogFields)
	case d.spares:
		return []string{"log-format '" + fmt.Sprintf(httpLog, nameInSpare.logged()) + "'"}
	}
	return nil // "option httplog"
}

// tcpLogFormat returns the lines for the format of s in TCP mode.
func tcpLogFormat(s haproxy.Settings) []string {
	if s.AccessLog != haproxy.JSONLog {
		return nil // "option tcplog"
	}
	return jsonLog(ownName, `,"ms_total":%Tt`)
}

func jsonLog(name nameOfBackend, fields string) []string {
	return []string{"log-format '{" + commonLogFields(name) + fields + "}'"}
}
