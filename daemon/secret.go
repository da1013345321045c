// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// secretFile holds what one worker of HAProxy shows the next one at http.relay.
// It is readable by podgate and HAProxy alone, as the configuration is that
// repeats it, and outlives both.
const secretFile = "podgate.secret"

// secret returns what secretFile holds, "" if there is none or the file was
// harmed.
func (f folder) secret() (string, error) {
	text, err := os.ReadFile(filepath.Join(string(f), secretFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	secret := strings.TrimSpace(string(text))
	if !isSecret(secret) {
		return "", err
	}
	return secret, err
}

// secretOfConfig is the one that the configuration repeats, "" for none.
func (f folder) secretOfConfig() string {
	text, err := os.ReadFile(filepath.Join(string(f), cfgfile.ConfigFile))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "unique-id-format" && isSecret(words[1]) {
			return words[1]
		}
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

// makeSecret returns the secret. Where secretFile has none, it is the one that
// HAProxy has, as running says or else the configuration, if there is any: with
// another one, the workers that a reload retires would not be believed.
func (f folder) makeSecret(running func() string) (string, error) {
	secret, err := f.secret()
	if err != nil || secret != "" {
		return secret, err
	}
	if secret = running(); !isSecret(secret) {
		secret = f.secretOfConfig()
	}
	if secret == "" {
		secret = rand.Text()
	}
	return secret, f.replace(secretFile, []byte(secret+"\n"))
}

// secured returns want with the secret of its relay. Without a secret there is
// no relay: whoever can connect to it could claim to be anybody.
func (e *edge) secured(ctx context.Context, want haproxy.State) haproxy.State {
	if e.secret == "" {
		secret, err := e.folder.makeSecret(func() string {
			running, _ := e.runtime.RelaySecret(ctx) // what does not answer tells no other either
			return running
		})
		if err != nil {
			e.tellRelay(fmt.Sprintf("there is no secret for it: %v", err))
			return want.WithoutRelay()
		}
		e.secret = secret
	}
	return want.WithRelaySecret(e.secret)
}
