// SPDX-License-Identifier: Apache-2.0

package cfgfile

import "github.com/haproxytech/client-native/v5/models"

// upgradeRules returns the rules that keep a pod from answering 101 to an upgrade to
// HTTP/2 in clear text (obsolete, RFC 9113 section 3.1), another HTTP or TLS (RFC 2817).
// After a 101 HAProxy passes bytes on: further requests of the connection would reach
// this pod, whatever their routes and allow-source. Without the header the pod answers
// the request by HTTP/1.1. Upgrades to other protocols, such as WebSocket, are passed on.
func upgradeRules() []models.HTTPRequestRule {
	return []models.HTTPRequestRule{
		{Type: "del-header", HdrName: "Upgrade", Cond: "if", CondTest: `{ req.fhdr(upgrade) -m reg -i '(^|[, ])(h2c|HTTP|TLS)([/, ]|$)' }`},
	}
}

// http2Settings is the header of an upgrade to HTTP/2, which clientRules removes.
const http2Settings = "http2-settings$"
