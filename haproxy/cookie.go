// SPDX-License-Identifier: Apache-2.0

package haproxy

// Cookie is the cookie that binds a client to its server, as the client sees it. A client
// keeps one cookie of each name for a host, so backends that are reached by the same host
// need different names. The name in HAProxy, Policy.Cookie, is the same for a whole class.
type Cookie struct {
	Name   string // letters, digits and "._-"
	Secure bool   // clients send it by TLS only
}

// SecureCookie ends the value of a CookiesMap entry of a Secure Cookie.
const SecureCookie = "|secure"

// String is the name, and SecureCookie.
func (c Cookie) String() string {
	if c.Secure {
		return c.Name + SecureCookie
	}
	return c.Name
}
