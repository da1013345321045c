// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"
	"strings"

	"podgate/haproxy"
)

// cookieRules returns the rules of a class with a cookie. In HAProxy a cookie has the
// same name in all backends of a class, but a client keeps only one cookie of a name for
// a host, whatever the port, scheme and Service. Therefore each backend has a name of
// its own for clients, in haproxy.CookiesMap: the rules rename the client's cookie to
// the one that HAProxy reads, and the one that HAProxy sends to the client's.
//
// A regular expression cannot contain a variable. The first rule writes the name and "|"
// before the value of each Cookie header, so that a back-reference finds it there; one of
// the other rules removes it. The cookie becomes the first one of the header: a cookie
// that podgate 0.1.0 sent is only used without it. HAProxy removes both.
//
// The rules require that HAProxy sends the cookie itself ("insert", "indirect").
func (d *document) cookieRules(p haproxy.Policy) []string {
	const (
		found  = "{ var(txn.podgate_cookie) -m found }"
		secure = "{ var(txn.podgate_cookie) -m end " + haproxy.SecureCookie + " }"
		blanks = "[[:blank:]]*"
	)
	own := d.word("cookie", p.Cookie)
	name := field("cookie", 1)
	rename := func(regex, format string) string {
		return fmt.Sprintf("http-request replace-header Cookie '%s' '%s' if %s", regex, format, found)
	}
	send := func(attributes, cond string) string {
		return fmt.Sprintf(`http-after-response replace-header Set-Cookie '^%s=(.*)$' '%%[%s]=\1%s' if %s %s`, strings.ReplaceAll(own, ".", "[.]"), name, attributes, found, cond)
	}
	return []string{
		fmt.Sprintf("http-request set-var(txn.podgate_cookie) be_name,map(%s)", d.mapFile(haproxy.CookiesMap)),
		rename(`^(.*)$`, `%[`+name+`]|\1`),
		rename(`^([^|]*)[|]`+blanks+`\1=([^;]*)$`, own+`=\2`),                                    // the only cookie
		rename(`^([^|]*)[|](.*;`+blanks+`)?\1=([^;]*);`+blanks+`(.*)$`, own+`=\3; \2\4`),         // not the last cookie
		rename(`^([^|]*)[|](.*[^;[:blank:]])`+blanks+`;[;[:blank:]]*\1=([^;]*)$`, own+`=\3; \2`), // the last cookie
		rename(`^[A-Za-z0-9._-]+[|](.*)$`, `\1`),                                                 // no cookie
		send("; HttpOnly", "!"+secure),
		send("; HttpOnly; Secure", secure),
	}
}
