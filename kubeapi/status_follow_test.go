// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"testing"

	"podgate/kubeapi"
)

func TestStatusWhileFollowing(t *testing.T) {
	s := serve(t, "cart")
	var client *kubeapi.Client
	f := follow(t, watching(s), func(c *kubeapi.Client) { client = c })
	f.untilServices("cart")
	st := client.Status()
	if len(st.Conditions) != 0 || st.Listed.IsZero() || st.Heard.Before(st.Listed) && st.Heard.IsZero() || st.Server != s.URL() {
		t.Errorf("while it follows: %+v", st)
	}
	if st.Requests[200] == 0 {
		t.Errorf("no request was counted: %+v", st.Requests)
	}
	s.Stop()
	eventually(t, "the outage in Status", func() bool {
		c := client.Status().Conditions
		return len(c) == 1 && c[0].Kind == kubeapi.Unreachable && c[0].Text != "" && !c[0].Since.IsZero()
	})
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its end in Status", func() bool { return len(client.Status().Conditions) == 0 })
	if st := client.Status(); len(st.WatchEnds) == 0 {
		t.Errorf("no watch that ended was counted: %+v", st)
	}
}
