// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"podgate/haproxy"
)

// TestListVersionsEqualCopiedSlices makes random versions of a List and compares each
// with a slice that was copied whole.
func TestListVersionsEqualCopiedSlices(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 2, 63, 64, 65, 128, 129, 1000} {
		items := make([]int, size)
		for i := range items {
			items[i] = i * 10
		}
		list := haproxy.ListOf(items...)
		var lists []haproxy.List[int]
		var slicesOf [][]int
		for range 20 {
			changed := map[int]int{}
			for range r.IntN(4) {
				if size > 0 {
					changed[r.IntN(size)] = r.IntN(3)
				}
			}
			before, old := list, items
			list, items = list.With(changed), slices.Clone(items)
			for i, item := range changed {
				items[i] = item
			}
			checkChanged(t, list, before, items, old)
			lists, slicesOf = append(lists, list), append(slicesOf, items)
		}
		for i := range lists {
			checkList(t, lists[i], slicesOf[i])
		}
	}
}

func checkList(t *testing.T, list haproxy.List[int], want []int) {
	t.Helper()
	var all []int
	for i, item := range list.All() {
		if list.At(i) != item {
			t.Fatalf("At(%d): %d, All yields %d", i, list.At(i), item)
		}
		all = append(all, item)
	}
	if list.Len() != len(want) || !slices.Equal(all, want) || !slices.Equal(list.Slice(), want) {
		t.Fatalf("got %v of %d, want %v", all, list.Len(), want)
	}
	if !reflect.DeepEqual(list, haproxy.ListOf(want...)) {
		t.Fatalf("%v differs from a List that ListOf made of its items", all)
	}
	for range list.All() {
		break // must not panic
	}
}

func checkChanged(t *testing.T, list, before haproxy.List[int], now, old []int) {
	t.Helper()
	var got, want []int
	for i := range list.Changed(before) {
		got = append(got, i)
	}
	for i := range now {
		if now[i] != old[i] {
			want = append(want, i)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("Changed: %v, want %v", got, want)
	}
	for range list.Changed(before) {
		break
	}
}

func TestRemadeReturnsTheSameListForEqualItems(t *testing.T) {
	items := make([]int, 200)
	list := haproxy.ListOf(items...)
	if got := list.Remade(items...); !got.Same(list) {
		t.Error("the same items: another List")
	}
	items[100] = 1
	for name, want := range map[string][]int{"one changed": items, "one less": items[:199], "one more": append(items, 0), "none": nil, "one": {7}} {
		got := list.Remade(want...)
		if got.Same(list) {
			t.Errorf("%s: the same List", name)
		}
		checkList(t, got, want)
	}
	checkList(t, list, make([]int, 200))
}

func TestSameComparesTheMemoryOfLists(t *testing.T) {
	a := haproxy.ListOf(1, 2, 3)
	if b := haproxy.ListOf(1, 2, 3); a.Same(b) || !a.Same(a) || !a.Same(a.With(nil)) || a.Same(a.With(map[int]int{1: 2})) {
		t.Error("Same: want true for one List only, and not for equal ones")
	}
	if !(haproxy.List[int]{}).Same(haproxy.ListOf[int]()) {
		t.Error("Same: got false for two empty Lists")
	}
}

func TestSearchFindsWhatBinarySearchFinds(t *testing.T) {
	var items []int
	for i := range 200 {
		items = append(items, 2*i)
	}
	list := haproxy.ListOf(items...)
	for sought := -1; sought <= 400; sought++ {
		i, ok := list.Search(func(item int) int { return item - sought })
		j, found := slices.BinarySearch(items, sought)
		if i != j || ok != found {
			t.Fatalf("Search %d: %d %v, want %d %v", sought, i, ok, j, found)
		}
	}
	if list.ContainsFunc(func(item int) bool { return item%2 == 1 }) || !list.ContainsFunc(func(item int) bool { return item == 398 }) {
		t.Error("ContainsFunc: want 398, and no odd number")
	}
}

// TestListIsAnArrayInJSON is for podgate.loaded.json of older versions, which had
// slices.
func TestListIsAnArrayInJSON(t *testing.T) {
	for _, items := range [][]int{nil, {1}, {1, 2, 3}} {
		want, _ := json.Marshal(items)
		got, err := json.Marshal(haproxy.ListOf(items...))
		if err != nil || string(got) != string(want) {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
		var back haproxy.List[int]
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		checkList(t, back, items)
	}
	var list haproxy.List[int]
	if err := json.Unmarshal([]byte(`{"a": 1}`), &list); err == nil {
		t.Error("Unmarshal accepted an object")
	}
}

func TestOneChangeAllocatesLittle(t *testing.T) {
	list := haproxy.ListOf(make([]*int, 5000)...)
	item, n := new(int), 1000
	changed := map[int]*int{4711: item}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		list.With(changed)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / uint64(n); each > 2000 {
		t.Errorf("one change of 5,000 items takes %d bytes", each)
	}
}
