// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
)

const (
	errNotServed    = textError("not served by this version")
	errTCPNeedsPort = textError(`"tcp" goes with ` + Prefix + `tcp, which gives the port to listen on`)
)

// textError is an error that is a constant.
type textError string

func (e textError) Error() string { return string(e) }

// readUnserved tells of a port's keys that this version understands and does
// not serve, where they ask for something. It reports false where the port
// must not be served without them.
func readUnserved(r *reader, http bool) bool {
	if http {
		read(r, keyRedirectHTTPS, unless(parseBool, false))
		read(r, keyHSTS, unless(parseNumber(0, 1<<31-1), 0))
		if passthrough := readStrict(r, keyPassthrough, unless(parseBool, false)); passthrough.bad {
			return false
		}
	}
	return true
}

// unless turns a parser into one that refuses every good value but the one
// that asks for nothing.
func unless[T comparable](parse func(string) (T, error), nothing T) func(string) (T, error) {
	return func(value string) (T, error) {
		v, err := parse(value)
		if err == nil && v != nothing {
			err = errNotServed
		}
		return v, err
	}
}

func parseVerify(value string) (string, error) {
	if value != "none" {
		return "", fmt.Errorf("%s is not served by this version, which verifies no server certificate", quote(value))
	}
	return value, nil
}
