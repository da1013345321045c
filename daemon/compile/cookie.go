// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"podgate/haproxy"
	"podgate/kubeapi"
)

// maxCookieName is the maximum length of cookie-name, as of defaults.cookie.
const maxCookieName = 64

// readCookie parses the cookie of an HTTP port. The name in b is unique, because it
// contains a hash of the Service port; the name that it returns is that of the
// annotation. The hash also contains the scheme: a browser does not replace a cookie
// that is Secure by one of a plain HTTP response, nor send it by plain HTTP.
func readCookie(r *annotationReader, svc *kubeapi.Service, sec secure, b *haproxy.Backend) (sticky bool, name setting[string]) {
	d := r.in.Defaults
	sticky = optional(r, keyCookie, parseBool).or(false)
	name = optional(r, keyCookieName, parseCookieName(d.Cookie, sec.sslTerm))
	if !sticky {
		return false, setting[string]{}
	}
	b.Policy.Cookie, b.Policy.CookieKey = d.Cookie, d.CookieKey
	scheme := "http"
	if sec.sslTerm {
		scheme = "https"
	}
	sum := sha256.Sum256([]byte(scheme + " " + defaultName(svc.Key, r.port.Port)))
	b.Cookie = haproxy.Cookie{Name: fmt.Sprintf("%s-%x", d.Cookie, sum[:6]), Secure: sec.sslTerm}
	return true, name
}

// parseCookieName returns a parser of cookie-name. Names that begin with base and a dash
// are those of ports without the annotation. Clients ignore a cookie whose name requires
// Secure if it is sent by plain HTTP (RFC 6265bis section 4.1.3).
func parseCookieName(base string, tls bool) func(string) (string, error) {
	return func(value string) (string, error) {
		switch {
		case value == "":
			return "", errors.New(`"" is not a name`)
		case len(value) > maxCookieName:
			return "", fmt.Errorf("%s is longer than %d characters", quote(value), maxCookieName)
		case strings.HasPrefix(value, base+"-"):
			return "", fmt.Errorf("%s begins with %q, as the names of other cookies do", quote(value), base+"-")
		case !tls && (hasPrefixFold(value, "__Secure-") || hasPrefixFold(value, "__Host-")):
			return "", fmt.Errorf("%s is a name for TLS, and the port is served by plain HTTP", quote(value))
		}
		for i := range len(value) {
			if c := value[i]; !isAlphanumeric(c) && !strings.ContainsRune("._-", rune(c)) {
				return "", fmt.Errorf("%s has a character other than letters, digits and . _ -", quote(value))
			}
		}
		return value, nil
	}
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// cookieUse is a host at which clients get a cookie of a name. With below, it is a host
// that covers a host at which they do.
type cookieUse struct {
	namespace, name string
	host            haproxy.HostPattern
	below           bool
}

// cookieName returns the name that an annotation sets, if no other port of the namespace
// has it for one of the same hosts, else "". A client could keep only one of both
// cookies. Other namespaces do not count: they would decide on the name.
func (m *merger) cookieName(at claimID, routes []haproxy.Route) string {
	c := m.claim(at)
	name := c.cookie
	if name == "" {
		return ""
	}
	namespace := m.services[at.service].object.Namespace
	use := func(host haproxy.HostPattern, below bool) cookieUse { return cookieUse{namespace, name, host, below} }
	for _, r := range routes {
		for _, u := range []cookieUse{use(r.Host, false), use(r.Host, true), use(r.Host.Wildcard(), false), use("", false)} {
			if has, taken := m.cookies[u]; taken && has != at {
				m.reportTaken(at, has, c.cookieFrom, subject{text: "cookie " + name, host: string(r.Host)})
				return ""
			}
		}
	}
	for _, r := range routes {
		m.cookies[use(r.Host, false)] = at
		m.cookies[use(r.Host.Wildcard(), true)] = at
		m.cookies[use("", true)] = at
	}
	return name
}
