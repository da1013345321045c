// SPDX-License-Identifier: Apache-2.0

package transition_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/transition"
)

func TestCondition(t *testing.T) {
	var c transition.Condition
	for _, row := range []struct {
		name, reason string
		began, ended bool
	}{
		{"nothing is wrong", "", false, false},
		{"it begins", "disk full", true, false},
		{"it lasts", "disk full", false, false},
		{"it has another reason", "no such disk", true, false},
		{"it ends", "", false, true},
		{"it stays ended", "", false, false},
	} {
		if began, ended := c.Set(row.reason); began != row.began || ended != row.ended || c.Reason() != row.reason {
			t.Errorf("%s: began %v, ended %v, reason %q", row.name, began, ended, c.Reason())
		}
	}
}

func TestConditions(t *testing.T) {
	var c transition.Conditions[string]
	for _, row := range []struct {
		name                  string
		present, began, ended []string
	}{
		{"nothing is wrong", nil, nil, nil},
		{"two things begin, one of them twice", []string{"b", "a", "b"}, []string{"b", "a"}, nil},
		{"another order is no change", []string{"a", "b"}, nil, nil},
		{"one ends and one begins", []string{"a", "c"}, []string{"c"}, []string{"b"}},
		{"all end", nil, nil, []string{"a", "c"}},
		{"they begin again", []string{"a"}, []string{"a"}, nil},
	} {
		began, ended := c.Set(row.present)
		if diff := cmp.Diff([2][]string{row.began, row.ended}, [2][]string{began, ended}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}
