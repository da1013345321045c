// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"net/netip"
	"time"

	"podgate/haproxy"
)

// readSources parses which clients may use a port, and how its servers learn the
// client's address. It reports false for a port that must not be served because
// its limits are not known.
func readSources(r *annotationReader, b *haproxy.Backend) bool {
	b.Options.SendProxy = optional(r, keySendProxy, parseSendProxy).or("")
	b.Options.SlowStart = optional(r, keySlowStart, parseDuration(0, 24*time.Hour)).or(0)
	allowed := required(r, keyAllowSource, parseAllowSource)
	b.Policy.AllowSource = haproxy.JoinNetworks(allowed.or(nil))
	return !allowed.bad
}

func parseAllowSource(value string) ([]netip.Prefix, error) {
	sources, err := parseSources(value)
	if err == nil && len(sources) > haproxy.MaxNetworks {
		err = fmt.Errorf("%s has more than %d networks", quote(value), haproxy.MaxNetworks)
	}
	return sources, err
}

// parseSendProxy accepts a version, or a bool: true is version 1.
func parseSendProxy(value string) (haproxy.SendProxy, error) {
	switch v := haproxy.SendProxy(value); v {
	case haproxy.ProxyV1, haproxy.ProxyV2:
		return v, nil
	}
	send, err := parseBool(value)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s is not true, false, v1 or v2", quote(value))
	case send:
		return haproxy.ProxyV1, nil
	}
	return "", nil
}
