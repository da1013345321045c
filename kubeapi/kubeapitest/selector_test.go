// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import "testing"

func TestSelector(t *testing.T) {
	labels := map[string]string{"app": "cart", "example.com/edge": "yes", "empty": ""}
	for text, want := range map[string]bool{
		"": true, "app=cart": true, "app=pay": false, "none=": false, "empty=": true,
		"app=cart,example.com/edge=yes": true, "app=cart,example.com/edge=no": false,
	} {
		s, err := parseSelector(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := s.matches(labels); got != want {
			t.Errorf("%q matches %v: %v, want %v", text, labels, got, want)
		}
	}
	for _, text := range []string{"app in (cart)", "app!=cart", "app", "app=cart,"} {
		if _, err := parseSelector(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
