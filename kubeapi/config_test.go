// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is wrong with the access to the API server is tested in kubeapi/auth.
func TestConfigErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no namespace", Config{Server: "https://10.0.0.1"}, `choose the namespaces: none is set ("*" is all of them)`},
		{"a namespace without a name", Config{Server: "https://10.0.0.1", Namespaces: []string{"shop", ""}}, `choose the namespaces: one has an empty name`},
		{"all namespaces and one", Config{Server: "https://10.0.0.1", Namespaces: []string{"shop", "*"}}, `choose the namespaces: "*" cannot be combined with others`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.cfg, slog.New(slog.DiscardHandler)); fmt.Sprint(err) != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	got, err := Config{Server: "https://10.0.0.1", Namespaces: []string{"shop", "bank", "shop"}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Server:         "https://10.0.0.1",
		Namespaces:     []string{"bank", "shop"},
		PollInterval:   5 * time.Second,
		ResyncInterval: 10 * time.Minute,
		UserAgent:      "podgate",
		MaxSize:        256 << 20,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}
