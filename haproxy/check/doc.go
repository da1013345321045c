// SPDX-License-Identifier: Apache-2.0

// Package check answers, before HAProxy is reloaded, whether it would load a
// configuration: by "haproxy -c" and by probing the addresses to listen on. It
// changes nothing that HAProxy reads and knows nothing of a running process.
package check
