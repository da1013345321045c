// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServiceLoadbalancerChangesTheDefaultOfNamespaces(t *testing.T) {
	for _, row := range []struct{ name, text, namespaces, printed string }{
		{"false", "", "default", "#namespaces = [\"default\"]\n"},
		{"true", "[compatibility]\nservice_loadbalancer = true\n", "*", "namespaces = [\"*\"] # service_loadbalancer\n"},
		{"true, and the file sets namespaces", "namespaces = [\"default\"]\n[compatibility]\nservice_loadbalancer = true\n", "default", "namespaces = [\"default\"]\n"},
		{"true, and a profile", "[compatibility]\nservice_loadbalancer = true\n[cloud]\nprofile = \"azure-lb\"\n", "*", "namespaces = [\"*\"] # service_loadbalancer\n"},
	} {
		c, err := Parse("podgate.toml", []byte("[kubernetes]\nkubeconfig = \"/k\"\n"+row.text))
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if got := strings.Join(c.Kubernetes.Namespaces, " "); got != row.namespaces {
			t.Errorf("%s: namespaces %s, want %s", row.name, got, row.namespaces)
		}
		if text := c.String(); !strings.Contains(text, "\n"+row.printed) {
			t.Errorf("%s: it does not print %s:\n%s", row.name, row.printed, text)
		}
		again, err := Parse("podgate.toml", []byte(c.String()))
		if err != nil {
			t.Errorf("%s: the output cannot be parsed: %v", row.name, err)
			continue
		}
		if diff := cmp.Diff(c, again, equateAddrs()); diff != "" {
			t.Errorf("%s: the output is another configuration (-want +got):\n%s", row.name, diff)
		}
	}
}
