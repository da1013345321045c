// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import "testing"

func TestSelector(t *testing.T) {
	labels := map[string]string{"app": "cart", "example.com/edge": "yes", "empty": ""}
	for _, tt := range []struct {
		text string
		want bool
	}{
		{"", true},
		{"app=cart", true},
		{"app==cart", true},
		{"app=pay", false},
		{"app!=pay", true},
		{"app!=cart", false},
		{"none!=cart", true},
		{"empty=", true},
		{"app in (cart, pay)", true},
		{"app in (pay)", false},
		{"app notin (pay,zoo)", true},
		{"none notin (pay)", true},
		{"example.com/edge", true},
		{"!example.com/edge", false},
		{"!none", true},
		{"app in (cart,pay),example.com/edge=yes", true},
		{"app=cart,example.com/edge=no", false},
	} {
		s, err := parseSelector(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if got := s.matches(labels); got != tt.want {
			t.Errorf("%q matches %v: %v, want %v", tt.text, labels, got, tt.want)
		}
	}
	if _, err := parseSelector("app in cart"); err == nil {
		t.Error("no error for an invalid selector")
	}
}
