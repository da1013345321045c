// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"net/netip"
	"testing"
)

func FuzzParseAddr(f *testing.F) {
	for _, text := range []string{
		"", "10.2.3.4", "0.0.0.0", "255.255.255.255", "256.1.1.1", "1.2.3.300", "01.2.3.4", "1.2.3.00", "1.2.3", "1.2.3.", ".1.2.3",
		"1..2.3", "1.2.3.4.5", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "1.2.3.4%eth0", "::1", "fd00::7", "::ffff:1.2.3.4", "fe80::1%eth0", "99999999999999999999.1.1.1", "a.b.c.d",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseAddr(text)
		want, wantErr := netip.ParseAddr(string(text))
		if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%q: got %s, %v, want %s, %v", text, got, err, want, wantErr)
		}
	})
}
