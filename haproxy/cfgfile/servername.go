// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"

	"github.com/haproxytech/client-native/v5/models"
)

// HAProxy sends a server name (SNI) to servers that use TLS, as some of them reject a
// client that sends none: the host that the client named, so that a server of several
// hosts has its own certificate and settings for each, or haproxy.Options.ServerName.
// HAProxy 3.3 and newer send the Host without any setting, but no name if Host is
// missing, and the address of the server in health checks; older versions send none.

// serverNameVariable holds the host that the client named, if it is a host name.
const serverNameVariable = "txn.podgate_sni"

// hostName is an expression for host names in lower case: the last label is not a number,
// unlike that of an IPv4 address, which is not allowed as a server name (RFC 6066 section 3).
const hostName = `'^([a-z0-9._-]*[.])?[0-9]*[a-z_-][a-z0-9_-]*$'`

// serverNameOfRequest returns the rule that sets serverNameVariable to the host of a
// request. OpenSSL accepts at most 255 characters.
func serverNameOfRequest() models.HTTPRequestRule {
	const host = "var(txn.podgate_host)"
	return models.HTTPRequestRule{
		Type: "set-var", VarScope: "txn", VarName: "podgate_sni", VarExpr: host,
		Cond: "if", CondTest: "{ " + host + " -m reg " + hostName + " } { " + host + " -m len :253 }",
	}
}

// serverNameOfClient returns the rule of a TCP frontend that ends TLS, which sets
// serverNameVariable to the server name that the client sends.
func serverNameOfClient() string {
	return fmt.Sprintf("tcp-request content set-var(%s) ssl_fc_sni,lower if { ssl_fc_sni,lower -m reg %s }", serverNameVariable, hostName)
}
