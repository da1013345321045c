// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

func TestApplySwapsMaps(t *testing.T) {
	for _, row := range []struct {
		name string
		have int
		want int
	}{
		{"no entries by one", 0, 1},
		{"one entry by none", 1, 0},
		{"one entry by many", 1, 10_000},
		{"many entries by one", 10_000, 1},
		{"many entries by many", 10_000, 9_000},
	} {
		t.Run(row.name, func(t *testing.T) {
			pod, _ := newPod(t)
			b := newBox(t)
			s := b.shop(t, nil, pod)
			s.Routes = routes(row.have)
			b.load(t, s)
			s.Routes = routes(row.want)
			want := s.Maps()
			began := time.Now()
			b.apply(t, haproxy.Plan{Maps: want[routesMap() : routesMap()+1]})
			t.Logf("swapped %d entries in %v", row.want, time.Since(began))
			compare(t, "Maps", want, b.observe(t, s).Maps)
			frontend := s.Frontends[0].Binds[0]
			for _, i := range []int{0, 1, 8_999, 9_999} {
				want := 404
				if i < row.want {
					want = 200
				}
				if r := mustGet(t, frontend, fmt.Sprintf("/p%d/x", i)); r.Status != want {
					t.Errorf("/p%d/x: %d, want %d", i, r.Status, want)
				}
			}
		})
	}
}

// routes returns routes from n paths to the shop.
func routes(n int) []haproxy.Route {
	var all []haproxy.Route
	for i := range n {
		all = append(all, haproxy.Route{Path: haproxy.PathPrefix(fmt.Sprintf("/p%d", i)), Backend: "shop"})
	}
	slices.SortFunc(all, func(a, b haproxy.Route) int { return cmp.Compare(a.Path, b.Path) })
	return all
}

func TestApplySwapsEntriesWithSpecialCharacters(t *testing.T) {
	b, s := newShop(t, nil)
	m := haproxy.Map{Name: haproxy.RoutesMap, Entries: []haproxy.MapEntry{
		{Key: `"quoted"/`, Value: "v"},
		{Key: "*/$(x);y/", Value: "shop|1|/a;b|/<<"},
		{Key: `*/\;z\/`, Value: `\`},
		{Key: "*/caf\u00e9/", Value: "v#w"},
		{Key: "<<", Value: "<<"},
		{Key: "@1", Value: "@2"},
	}}
	b.apply(t, haproxy.Plan{Maps: []haproxy.Map{m}})
	compare(t, "Maps", m, b.observe(t, s).Maps[routesMap()])
}

// TestTwoClientsSwapAMap is the situation of "podgate drain" while podgate runs.
func TestTwoClientsSwapAMap(t *testing.T) {
	b, s := newShop(t, nil)
	var both sync.WaitGroup
	for n := range 2 {
		c := runtime.New(b.Admin, b.Master, b.Folder)
		both.Go(func() {
			for i := range 100 {
				m := haproxy.Map{Name: haproxy.RoutesMap, Entries: []haproxy.MapEntry{{Key: fmt.Sprint("key", i), Value: fmt.Sprint("value", n)}}}
				a, err := c.Apply(t.Context(), haproxy.Plan{Maps: []haproxy.Map{m}})
				if err != nil || len(a.Rejected) > 0 {
					t.Errorf("swap %d of client %d: %v, %v", i+1, n, a.Rejected, err)
					return
				}
			}
		})
	}
	both.Wait()
	if m := b.observe(t, s).Maps[routesMap()]; len(m.Entries) != 1 || m.Entries[0].Key != "key99" {
		t.Errorf("the map has %v after the last swap, want one entry", m.Entries)
	}
}
