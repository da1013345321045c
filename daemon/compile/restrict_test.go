// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"testing"

	"podgate/kubeapi"
)

// TestARestrictionThatCannotBeAppliedClosesThePort gives each key for a port that the
// Service does not have, as after its port was renamed, and misspelt.
func TestARestrictionThatCannotBeAppliedClosesThePort(t *testing.T) {
	served := func(annotations map[string]string) bool {
		svc := exposed("web", 1)
		svc.Annotations = map[string]string{}
		for key, value := range annotations {
			svc.Annotations[Prefix+key] = value
		}
		r := Compile(testConfig(), nil, &kubeapi.Snapshot{Services: []*kubeapi.Service{svc}}, nil)
		return r.State.Backends.Len() > 0
	}
	for _, k := range keys() {
		name := string(k)
		for _, written := range []string{name + ".renamed", name[:1] + name[2:]} {
			if near := suggest(written); near != k && near != "" {
				t.Errorf("%s looks like %s, not %s", written, near, k)
			}
			if got := served(map[string]string{written: "x"}); got == k.restricts() {
				t.Errorf("%s: served is %v, want %v", written, got, !k.restricts())
			}
		}
	}
	for name, row := range map[string]struct {
		annotations map[string]string
		want        bool
	}{
		"a value that restricts nothing":  {map[string]string{"ignore.renamed": "false", "passthrough.renamed": "false"}, true},
		"a port with such a key":          {map[string]string{"allow-source.renamed": "10.0.0.0/8", "allow-source": "192.0.2.0/24"}, true},
		"a port with only another key":    {map[string]string{"allow-source.renamed": "10.0.0.0/8", "host": "a.example.com"}, false},
		"a port with one of two keys":     {map[string]string{"allow-source.renamed": "10.0.0.0/8", "host.renamed": "a.example.com", "host": "b.example.com"}, false},
		"a port with the key by its name": {map[string]string{"host.renamed": "a.example.com", "host.80": "b.example.com"}, true},
	} {
		if got := served(row.annotations); got != row.want {
			t.Errorf("%s: served is %v, want %v", name, got, row.want)
		}
	}
}
