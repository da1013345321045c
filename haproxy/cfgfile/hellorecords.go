// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"
	"strings"
)

// helloNameRules returns the rules that set txn.podgate_name to the server name of a
// ClientHello, in lower case. HAProxy's req.ssl_sni does that, but it does not find the
// name if the ClientHello is in several records (RFC 8446 section 5.1), on any version up
// to HAProxy 3.4 at least. Programs that avoid censorship send such records.
//
// For these, the rules join the contents of the first two records, as hexadecimal digits,
// and look for the server_name extension (RFC 6066 section 3), whose three lengths must
// match. They wait until both records are complete: 14 bytes, which are the two headers
// of 5 bytes and that of the ClientHello, and as many as its length. If the first record
// ends within that length, its header is followed by that of the second record.
//
// The header of a third record remains in the text. If it is within the extension, the
// name contains a byte that no name has, and is not used: that connection reaches the
// frontend that ends TLS. Otherwise it would be a part of another name.
//
// What a client writes here only selects the pods that get its connection. It could also
// send their server name.
func helloNameRules() []string {
	const (
		hello   = "{ req.payload(0,2),hex 1603 } { req.payload(5,1),hex 01 }"
		found   = "{ var(txn.podgate_%s) -m found }"
		record  = " if { var(txn.podgate_record) -m int %s }"
		several = "{ var(txn.podgate_size),add(4),sub(txn.podgate_record) gt 0 }"
		arrived = "{ req.len,sub(txn.podgate_size) ge 14 }"
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
	rules := []string{"tcp-request content set-var(txn.podgate_record) req.payload(3,2),hex,hex2i if " + hello}
	for n := 1; n <= 3; n++ { // bytes of the length's 3, with one before them, in the first record
		size := fmt.Sprintf(`'req.payload(6,8),hex,regsub("^(.{%d}).{10}","\1"),hex2i'`, 2*(n-1))
		rules = append(rules, "tcp-request content set-var(txn.podgate_size) "+size+fmt.Sprintf(record, fmt.Sprint(n)))
	}
	return append(rules,
		"tcp-request content set-var(txn.podgate_size) req.payload(6,3),hex,hex2i"+fmt.Sprintf(record, "gt 3"),
		"tcp-request content set-var(txn.podgate_first) req.payload_lv(3,2),hex if "+several+" "+arrived,
		"tcp-request content set-var(txn.podgate_hello) req.payload(0,0),hex if "+fmt.Sprintf(found, "first"),
		"tcp-request content set-var(txn.podgate_name) "+name+" if "+fmt.Sprintf(found, "hello"),
		"tcp-request content unset-var(txn.podgate_name) if !{ var(txn.podgate_name) -m reg ^[a-z0-9._-]+$ }",
		"tcp-request content set-var(txn.podgate_name) req.ssl_sni,lower if { req.ssl_hello_type 1 } !"+fmt.Sprintf(found, "hello"),
	)
}
