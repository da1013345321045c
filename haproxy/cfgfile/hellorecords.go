// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"
	"strings"
)

// helloNameRules returns the rules that set txn.podgate_name to the server name of a
// ClientHello, in lower case. HAProxy's req.ssl_sni does that, but it does not find the
// name if the ClientHello is in two records (RFC 8446 section 5.1), on any version up to
// HAProxy 3.4 at least. Programs that avoid censorship send such records.
//
// For these, the rules join the contents of both records, as hexadecimal digits, and look
// for the server_name extension (RFC 6066 section 3), whose three lengths must match. They
// wait until both records are complete: 14 bytes, which are the two headers of 5 bytes and
// that of the ClientHello, and as many as its length. If the first record ends within
// that length, its bytes are at another place.
//
// What a client writes here only selects the pods that get its connection. It could also
// send their server name.
func helloNameRules() []string {
	const (
		hello = "{ req.payload(0,2),hex 1603 } { req.payload(5,1),hex 01 }"
		found = "{ var(txn.podgate_%s) -m found }"
		first = "tcp-request content set-var(txn.podgate_first) req.payload_lv(3,2),hex if " + hello
	)
	const longest = 253
	names := make([]string, longest)
	for i := range names {
		n := i + 1
		names[i] = fmt.Sprintf("%04X%04X00%04X.{%d}", n+5, n+3, n, 2*n)
	}
	name := `'var(txn.podgate_first),concat(|,txn.podgate_hello)` +
		`,regsub("^([0-9A-F]*)[|].{10}\1.{10}","\1")` + // both records without headers
		`,regsub("^.*0000(` + strings.Join(names, "|") + `).*$","\1")` +
		`,regsub("^.{14}",""),regsub("(..)","%\1",g),url_dec,lower'`
	return []string{
		"tcp-request content set-var(txn.podgate_record) req.payload(3,2),hex,hex2i if " + hello,
		first + " { var(txn.podgate_record) -m int 1 } { req.payload_lv(11,3,14) -m found }",
		first + " { var(txn.podgate_record) -m int 2 } { req.payload_lv(12,2,14) -m found }",
		first + " { var(txn.podgate_record) -m int gt 2 } { req.payload(6,3),hex,hex2i,add(4),sub(txn.podgate_record) gt 0 } { req.payload_lv(6,3,14) -m found }",
		"tcp-request content set-var(txn.podgate_hello) req.payload(0,0),hex if " + fmt.Sprintf(found, "first"),
		"tcp-request content set-var(txn.podgate_name) " + name + " if " + fmt.Sprintf(found, "hello"),
		"tcp-request content set-var(txn.podgate_name) req.ssl_sni,lower if { req.ssl_hello_type 1 } !" + fmt.Sprintf(found, "hello"),
	}
}
