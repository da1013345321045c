// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"strings"

	"podgate/haproxy/cfgfile"
)

// relaySecretFile holds the secret that an old worker of HAProxy sends to the next
// one at http.relay. It is readable by podgate and HAProxy only, like the
// configuration, which contains it too, and outlives both processes.
const relaySecretFile = "podgate.secret"

// ReadRelaySecret returns the secret of relaySecretFile, "" if there is no such file or
// it is damaged.
func (d Dir) ReadRelaySecret() (string, error) {
	text, err := os.ReadFile(d.Path(relaySecretFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	secret := strings.TrimSpace(string(text))
	if !isSecret(secret) {
		return "", err
	}
	return secret, err
}

// EnsureRelaySecret returns the secret of relaySecretFile. If the file is missing, it
// writes the secret that running, which asks HAProxy, returns, or the one in the
// configuration: with another secret, the new worker would reject the requests of the
// old workers. If there is neither, the secret is random.
func (d Dir) EnsureRelaySecret(running func() string) (string, error) {
	secret, err := d.ReadRelaySecret()
	if err != nil || secret != "" {
		return secret, err
	}
	if secret = running(); !isSecret(secret) {
		secret = d.configuredSecret()
	}
	if secret == "" {
		secret = rand.Text()
	}
	return secret, d.replace(relaySecretFile, []byte(secret+"\n"))
}

// configuredSecret is the secret in the configuration, "" for none.
func (d Dir) configuredSecret() string {
	text, err := os.ReadFile(d.Path(cfgfile.ConfigFile))
	if err != nil {
		return ""
	}
	if secret := cfgfile.Parse(text).RelaySecret; isSecret(secret) {
		return strings.Clone(secret) // and not the whole file with it
	}
	return ""
}

// isSecret reports whether s has the form of a rand.Text.
func isSecret(s string) bool {
	const least = 26
	return len(s) >= least && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '2' || r > '7')
	})
}
