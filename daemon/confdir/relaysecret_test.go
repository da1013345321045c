// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestADamagedRelaySecretIsReplaced(t *testing.T) {
	d := Dir(t.TempDir())
	inUse := "" // by the running HAProxy
	ensure := func() string {
		t.Helper()
		secret, err := d.EnsureRelaySecret(func() string { return inUse })
		if err != nil || !isSecret(secret) {
			t.Errorf("got %q, %v", secret, err)
		}
		return secret
	}
	secret := ensure()
	want := func(where string) {
		t.Helper()
		if got := ensure(); got != secret {
			t.Errorf("got %q, want that of %s, %q", got, where, secret)
		}
	}
	want("the file")
	must(t, os.WriteFile(d.Path("podgate.cfg"), []byte("frontend x\n  unique-id-format "+secret+"\n"), 0o600))
	must(t, os.Remove(d.Path(relaySecretFile)))
	want("the configuration")
	must(t, errors.Join(os.Remove(d.Path("podgate.cfg")), os.Remove(d.Path(relaySecretFile))))
	inUse = secret
	want("HAProxy")
	inUse = "nonsense"
	for name, text := range map[string]string{
		"cut": secret[:9], "empty": "", "two lines": secret[:20] + "\n" + secret[20:], "binary": "\xff" + secret[1:], "another format": strings.Repeat("a b", 10),
	} {
		must(t, os.WriteFile(d.Path(relaySecretFile), []byte(text), 0o600))
		if got := ensure(); got == text {
			t.Errorf("%s: the secret is %q", name, got)
		}
	}
}
