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

// ReadRelaySecret returns what relaySecretFile holds, "" if there is no such file
// or it is damaged.
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

// EnsureRelaySecret is ReadRelaySecret that writes the file if it is missing.
// The secret is then the one that running returns, which asks HAProxy, or that of
// the configuration, if there is any: with another one, the new worker would
// reject the requests of the old ones.
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

// configuredSecret is the one that the configuration contains, "" for none.
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

// isSecret reports whether s is as rand.Text makes one.
func isSecret(s string) bool {
	const least = 26
	return len(s) >= least && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '2' || r > '7')
	})
}
