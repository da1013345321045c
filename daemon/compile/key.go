// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"

	"podgate/daemon/config"
)

// Prefix is the prefix of podgate's annotations, which is that of
// service-loadbalancer.
const Prefix = domain + "lb."

const domain = "serviceloadbalancer/"

// key is an annotation without its prefix and its port suffix.
type key string

// The keys. packaging/doc/annotations.md has a section for each.
const (
	keyIgnore          key = "ignore"
	keyHost            key = "host"
	keyPath            key = "path"
	keyACLMatch        key = "aclMatch"
	keyRewrite         key = "rewrite"
	keySSLTerm         key = "sslTerm"
	keyBackendProtocol key = "backend-protocol"
	keyBackendVerify   key = "backend-verify"
	keyCookie          key = "cookie-sticky-session"
	keyCookieName      key = "cookie-name"
	keyAlgorithm       key = "algorithm"
	keyBackendName     key = "backend-name"
	keyTCP             key = "tcp"
	keyUpstream        key = "upstream"
	keyCheck           key = "check"
	keyCheckPath       key = "check-path"
	keyCheckInterval   key = "check-interval"
	keyTimeoutServer   key = "timeout-server"
	keyTimeoutTunnel   key = "timeout-tunnel"
	keyTimeoutConnect  key = "timeout-connect"
	keyMaxConn         key = "maxconn"
	keySlowStart       key = "slowstart"
	keyAllowSource     key = "allow-source"
	keyRedirectHTTPS   key = "redirect-https"
	keyHSTS            key = "hsts"
	keySendProxy       key = "send-proxy"
	keyPassthrough     key = "passthrough"
	keyTLSSecret       key = "tls-secret"
)

// keys lists every key, in the order of the documentation: ignore, and those that
// podgate.toml can grant.
func keys() []key {
	all := []key{keyIgnore}
	for _, name := range config.AnnotationNames() {
		all = append(all, key(name))
	}
	return all
}

func (k key) known() bool {
	return k == keyIgnore || k.isFork() || slices.Contains(config.AnnotationNames(), string(k))
}

// restricts reports whether the key limits how a port is reached, so that without it
// the port could be reached by more clients than its owner wants.
func (k key) restricts() bool {
	switch k {
	case keyIgnore, keyHost, keyPath, keyACLMatch, keySSLTerm, keyTCP, keyAllowSource, keyPassthrough, keyBackendVerify,
		keyEnabled, keySSLBridge:
		return true
	}
	return false
}

// httpOnly reports whether the key has no effect on a port with a TCP frontend.
func (k key) httpOnly() bool {
	switch k {
	case keyHost, keyPath, keyACLMatch, keyRewrite,
		keyCookie, keyCookieName, keyRedirectHTTPS, keyHSTS, keyPassthrough, keyTLSSecret:
		return true
	}
	return false
}

// endsWithPassthrough reports whether the key has no effect on a port whose TLS is passed
// through: HAProxy does not see requests there, and takes no part in the TLS of the pods.
func (k key) endsWithPassthrough() bool {
	switch k {
	case keyPath, keyACLMatch, keyRewrite, keySSLTerm, keySSLBridge, keyBackendProtocol, keyBackendVerify, keyCookie, keyCookieName, keyCheckPath, keyHSTS, keyTLSSecret:
		return true
	}
	return false
}

// suggest returns the key that a misspelt one probably stands for; "" for none.
func suggest(written string) key {
	if len(written) > maxShown {
		return ""
	}
	var names []string
	for _, k := range append(keys(), forkKeys()...) {
		names = append(names, string(k))
	}
	return key(config.Nearest(written, names))
}
