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
		t.Errorf("it is another the second time: %q, %v", again, err)
	}
	config := "frontend x\n  unique-id-format " + secret + "\n"
	if err := os.WriteFile(filepath.Join(string(d), "podgate.cfg"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(string(d), relaySecretFile)); err != nil {
		t.Fatal(err)
	}
	if again, err := d.EnsureRelaySecret(running); again != secret || err != nil {
		t.Errorf("HAProxy has %q, and now it is %q, %v", secret, again, err)
	}
	if err := os.Remove(filepath.Join(string(d), "podgate.cfg")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(string(d), relaySecretFile)); err != nil {
		t.Fatal(err)
	}
	inUse = secret
	if again, err := d.EnsureRelaySecret(running); again != secret || err != nil {
		t.Errorf("HAProxy runs with %q, and now it is %q, %v", secret, again, err)
	}
	inUse = "nonsense"
	for name, text := range map[string]string{
		"cut": secret[:9], "empty": "", "two lines": secret[:20] + "\n" + secret[20:], "binary": "\xff" + secret[1:], "another's": strings.Repeat("a b", 10),
	} {
		if err := os.WriteFile(filepath.Join(string(d), relaySecretFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := d.EnsureRelaySecret(running); err != nil || !isSecret(got) || got == text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
