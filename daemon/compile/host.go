// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"

	"podgate/haproxy"
)

func parseHost(value string) (haproxy.HostPattern, error) {
	host, err := haproxy.ParseHost(value)
	if err != nil {
		err = fmt.Errorf("%s is not a host name: %w", quote(value), err)
	}
	return host, err
}
