// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/haproxy"
	"podgate/haproxy/check"
	"podgate/haproxy/haproxytest"
)

// TestARejectedStateNamesTheBackends asserts that messages of the real HAProxy lead to the
// backends that it rejects.
func TestARejectedStateNamesTheBackends(t *testing.T) {
	haproxytest.Need(t)
	binary, err := haproxytest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(t.TempDir(), "base.cfg")
	if err := os.WriteFile(base, []byte("global\n  maxconn 100\nfrontend base\n  timeout client 1s\n  bind 127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "ca.pem")
	withMissingCA := func(b *haproxy.Backend) {
		b.Options.Protocol, b.Options.CAFile, b.Options.ServerName = haproxy.TLS, missing, "pods.test"
	}
	withoutBalance := func(b *haproxy.Backend) { b.Policy.Balance = "fairest" }
	for _, row := range []struct {
		name   string
		change map[string]func(*haproxy.Backend)
		want   []string
	}{
		{"all backends are valid", nil, nil},
		{"the CA file of one is missing", map[string]func(*haproxy.Backend){"shop_b_80": withMissingCA}, []string{"shop_b_80"}},
		{"the CA files of two are missing", map[string]func(*haproxy.Backend){"shop_b_80": withMissingCA, "shop_d_80": withMissingCA}, []string{"shop_b_80", "shop_d_80"}},
		{"the class of two is invalid", map[string]func(*haproxy.Backend){"shop_a_80": withoutBalance, "shop_c_80": withoutBalance}, []string{"shop_a_80", "shop_c_80"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var backends []*haproxy.Backend
			for _, name := range []string{"shop_a_80", "shop_b_80", "shop_c_80", "shop_d_80"} {
				b := &haproxy.Backend{
					Name: name, Policy: haproxy.Policy{Mode: haproxy.HTTP, Balance: haproxy.RoundRobin}, Options: haproxy.Options{Protocol: haproxy.Plain},
					Servers: []haproxy.Server{{Addr: netip.MustParseAddrPort("127.0.0.1:8001")}},
				}
				if change := row.change[name]; change != nil {
					change(b)
				}
				backends = append(backends, b)
			}
			s := haproxy.State{
				Settings: haproxy.Settings{TimeoutConnect: time.Second, TimeoutClient: time.Second, TimeoutServer: time.Second},
				Backends: haproxy.ListOf(backends...),
			}
			err := check.HAProxy{Binary: binary, Files: []string{base}}.State(t.Context(), s)
			var got []string
			if rejected, ok := errors.AsType[*check.RejectedError](err); ok {
				got = rejected.Backends
			} else if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("backends of %v (-want +got):\n%s", err, diff)
			}
		})
	}
}
