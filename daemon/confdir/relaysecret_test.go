// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestADamagedRelaySecretIsReplaced(t *testing.T) {
	d := Dir(t.TempDir())
	inUse := ""
	running := func() string { return inUse }
	secret, err := d.EnsureRelaySecret(running)
	if err != nil || !isSecret(secret) {
		t.Fatal(secret, err)
	}
	if again, err := d.EnsureRelaySecret(running); again != secret || err != nil {
		t.Errorf("the second secret is %q, %v", again, err)
	}
	config := "frontend x\n  unique-id-format " + secret + "\n"
	must(t, os.WriteFile(filepath.Join(string(d), "podgate.cfg"), []byte(config), 0o600))
	must(t, os.Remove(filepath.Join(string(d), relaySecretFile)))
	if again, err := d.EnsureRelaySecret(running); again != secret || err != nil {
		t.Errorf("the configuration has the secret %q, got %q, %v", secret, again, err)
	}
	must(t, os.Remove(filepath.Join(string(d), "podgate.cfg")))
	must(t, os.Remove(filepath.Join(string(d), relaySecretFile)))
	inUse = secret
	if again, err := d.EnsureRelaySecret(running); again != secret || err != nil {
		t.Errorf("HAProxy has the secret %q, got %q, %v", secret, again, err)
	}
	inUse = "nonsense"
	for name, text := range map[string]string{
		"cut": secret[:9], "empty": "", "two lines": secret[:20] + "\n" + secret[20:], "binary": "\xff" + secret[1:], "another format": strings.Repeat("a b", 10),
	} {
		must(t, os.WriteFile(filepath.Join(string(d), relaySecretFile), []byte(text), 0o600))
		if got, err := d.EnsureRelaySecret(running); err != nil || !isSecret(got) || got == text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
