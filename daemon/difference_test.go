// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon"
	"podgate/daemon/config"
)

// differences are those that podgate diff tells, a line each.
func (tw *town) differences() []string {
	tw.t.Helper()
	c, err := config.Load(tw.toml)
	if err != nil {
		tw.t.Fatal(err)
	}
	differences, err := daemon.Differences(tw.t.Context(), c, "test", nil)
	if err != nil {
		tw.t.Fatal(err)
	}
	lines := []string{}
	for _, d := range differences {
		lines = append(lines, d.String())
	}
	return lines
}

func (tw *town) awaitNoDifference() {
	tw.t.Helper()
	eventually(tw.t, "no difference", func() error {
		if got := tw.differences(); len(got) > 0 {
			return fmt.Errorf("%s", strings.Join(got, "\n"))
		}
		return nil
	})
}

func TestDifferencesAreToldWithWhatSetsThemRight(t *testing.T) {
	tw := newTown(t)
	one, two := newPod(t, "one"), newPod(t, "two")
	tw.service("cart", nil, one)
	tw.service("gone", nil)
	if diff := cmp.Diff([]string{"process reload: HAProxy has not loaded podgate's configuration yet"}, tw.processDifferences()); diff != "" {
		t.Errorf("before podgate first ran (-want +got):\n%s", diff)
	}
	tw.start()
	tw.awaitAnswer("any", "/cart/", "200 one /")
	tw.api.Delete("Service", "shop", "gone") // stays in the file, empty, until the next reload
	tw.awaitAnswer("any", "/gone/", notFound)
	tw.awaitNoDifference()
	tw.stop()

	tw.service("cart", map[string]string{"path": "/basket"}, two)
	tw.service("new", nil)
	want := []string{
		"process reload: backend shop_new_80 is new",
		"process runtime: add shop_cart_80/" + two.addr.String() + " ready",
		"process runtime: set shop_cart_80/" + one.addr.String() + " maint",
		"process runtime: delete shop_cart_80/" + one.addr.String() + " maint",
		"process runtime: map routes: - */cart/ shop_cart_80|5|/cart",
		"process runtime: map routes: + */basket/ shop_cart_80|7",
		"file write: backend shop_cart_80: - server " + one.addr.String(),
		"file write: backend shop_cart_80: + server " + two.addr.String(),
		"file write: backend shop_new_80: + from podgate-http-roundrobin",
		"file write: routes.map: - */cart/ shop_cart_80|5|/cart",
		"file write: routes.map: + */basket/ shop_cart_80|7",
		"file write: routes.map: + */new/ shop_new_80|4|/new",
	}
	if tw.takesBackends() {
		want[0] = "process runtime: add backend shop_new_80"
		want = slices.Insert(want, 6, "process runtime: map routes: + */new/ shop_new_80|4|/new")
	}
	got := tw.differences()
	for i, line := range got {
		if i < len(want) && strings.HasPrefix(line, want[i]) { // server lines go on
			got[i] = want[i]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	tw.start()
	tw.awaitAnswer("any", "/basket/", "200 two /basket/")
	eventually(t, "the old server is deleted and new is loaded", func() error {
		for _, line := range tw.differences() {
			if !strings.HasPrefix(line, "process runtime: delete ") { // when its idle connections are closed
				return fmt.Errorf("%s", line)
			}
		}
		return nil
	})
}

// processDifferences are those of the process alone.
func (tw *town) processDifferences() (lines []string) {
	tw.t.Helper()
	for _, line := range tw.differences() {
		if strings.HasPrefix(line, "process ") {
			lines = append(lines, line)
		}
	}
	return lines
}
