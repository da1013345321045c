// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parseCloud reads a file with that [cloud] section.
func parseCloud(t *testing.T, cloud string) *Config {
	t.Helper()
	c, err := Parse("podgate.toml", []byte("[kubernetes]\nkubeconfig = \"/k\"\n[cloud]\n"+cloud))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// expansion is the keys that String prints as set by the profile.
func expansion(c *Config) string {
	var lines []string
	for line := range strings.Lines(c.String()) {
		if text, found := strings.CutSuffix(line, fmt.Sprintf(" # profile %s\n", c.Cloud.Profile)); found {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "\n")
}

func TestEachProfileSetsTheKeysThatArePrinted(t *testing.T) {
	const health = `health_bind = [":10880"]` + "\n"
	const both = health + `health_proxy_bind = [":10881"]` + "\n"
	const google = `["35.191.0.0/16", "130.211.0.0/22", "2600:2d00:1:1::/64", "2600:2d00:1:b029::/64"]`
	const probes = `["35.191.0.0/16", "130.211.0.0/22", "209.85.152.0/22", "209.85.204.0/22", "2600:1901:8001::/48", "2600:2d00:1:b029::/64"]`
	const trusted = "trusted_sources = [\"10.0.0.0/8\"]\n"
	for _, row := range []struct {
		profile     Profile
		given, want string
	}{
		{AWSNLB, "", "tcp_keep_alive = \"2m\"\n" + both + `drain_wait = "1m30s"`},
		{AWSALB, trusted, "timeout_keep_alive = \"1m15s\"\nforwarded_hops = 1\n" + health + `drain_wait = "1m15s"`},
		{GCPPassthrough, "", health + "health_sources = " + probes + "\ndrain_wait = \"20s\""},
		{GCPProxy, "", "proxy = [\"http\", \"https\", \"tcp\"]\ntrusted_sources = " + google + "\ntcp_keep_alive = \"2m\"\n" + both + "health_sources = " + google + "\ndrain_wait = \"20s\""},
		{GCPALB, "", "timeout_keep_alive = \"10m20s\"\ntrusted_sources = " + google + "\nforwarded_hops = 2\n" + health + "health_sources = " + google + "\ndrain_wait = \"20s\""},
		{AzureLB, "", "tcp_keep_alive = \"2m\"\n" + health + "health_sources = [\"168.63.129.16/32\"]\ndrain_wait = \"40s\""},
		{OCINLB, "", "tcp_keep_alive = \"2m\"\n" + both + `drain_wait = "45s"`},
		{OCILB, trusted, "timeout_keep_alive = \"5m20s\"\nforwarded_hops = 1\n" + health + `drain_wait = "45s"`},
		{DigitalOcean, "", "timeout_keep_alive = \"1m15s\"\n" + both + `drain_wait = "40s"`},
		{Hetzner, "", both + `drain_wait = "1m"`},
		{NoProfile, "", ""},
	} {
		c := parseCloud(t, fmt.Sprintf("profile = %q\n%s", row.profile, row.given))
		if diff := cmp.Diff(row.want, expansion(c)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.profile, diff)
		}
		again, err := Parse("podgate.toml", []byte(c.String()))
		if err != nil {
			t.Errorf("%s: the output cannot be parsed: %v", row.profile, err)
			continue
		}
		if diff := cmp.Diff(c, again, equateAddrs()); diff != "" {
			t.Errorf("%s: the output is another configuration (-want +got):\n%s", row.profile, diff)
		}
	}
}

func TestTheFileOverridesItsProfile(t *testing.T) {
	c := parseCloud(t, "health_bind = []\nprofile = \"azure-lb\"\ndrain_wait = \"7s\"\nhealth_sources = []\n")
	if got, want := expansion(c), `tcp_keep_alive = "2m"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, line := range []string{"profile = \"azure-lb\"\n", "drain_wait = \"7s\"\n", "\nhealth_bind = []\n"} {
		if !strings.Contains(c.String(), line) {
			t.Errorf("it does not print %s", line)
		}
	}
}

func TestPrintOmitsTheCookieKey(t *testing.T) {
	c := parseCloud(t, "[defaults]\ncookie_key = \"hush-hush\"\n")
	if text := c.String(); strings.Contains(text, "hush") || !strings.Contains(text, "# cookie_key is set\n") {
		t.Error(text)
	}
}
