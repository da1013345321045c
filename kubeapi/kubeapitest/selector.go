// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"fmt"
	"strings"
)

// selector is a label selector of equalities, all of which must hold.
type selector map[string]string

// parseSelector reads "a=b,c=d". The other operators are not implemented: nothing that
// uses this package needs them.
func parseSelector(text string) (selector, error) {
	s := selector{}
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(part, "=")
		switch {
		case ok && !strings.ContainsAny(key+value, "!=() "):
			s[key] = value
		case text != "":
			return nil, fmt.Errorf("unable to parse requirement: %q", part)
		}
	}
	return s, nil
}

func (s selector) matches(labels map[string]string) bool {
	for key, want := range s {
		if got, ok := labels[key]; !ok || got != want {
			return false
		}
	}
	return true
}
