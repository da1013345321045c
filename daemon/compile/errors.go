// SPDX-License-Identifier: Apache-2.0

package compile

const (
	errTCPNeedsPort = textError(`"tcp" goes with ` + Prefix + `tcp, which gives the port to listen on`)
	errNoHTTPOnTCP  = textError("a TCP port carries bytes, in clear (tcp) or in TLS (https)")
)

// textError is an error that is a constant.
type textError string

func (e textError) Error() string { return string(e) }
