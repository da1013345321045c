// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"reflect"
	"testing"
	"time"

	"podgate/kubeapi"
)

func TestOnlySlicesChangedComparesEveryField(t *testing.T) {
	rows := map[string]struct {
		snapshot kubeapi.Snapshot
		want     bool
	}{
		"Services": {kubeapi.Snapshot{Services: []*kubeapi.Service{{}}}, false},
		"Nodes":    {kubeapi.Snapshot{Nodes: []*kubeapi.Node{}}, false}, // can be listed now
		"Slices":   {kubeapi.Snapshot{Slices: kubeapi.SliceIndex{}.With(map[kubeapi.Key][]*kubeapi.EndpointSlice{{}: {{}}})}, true},
		"Unread":   {kubeapi.Snapshot{Unread: []string{"bank"}}, false},
		"Complete": {kubeapi.Snapshot{Complete: 1}, true},
		"Since":    {kubeapi.Snapshot{Since: time.Now()}, true},
	}
	for i := range reflect.TypeFor[kubeapi.Snapshot]().NumField() {
		name := reflect.TypeFor[kubeapi.Snapshot]().Field(i).Name
		row, ok := rows[name]
		if got := onlySlicesChanged(&kubeapi.Snapshot{}, &row.snapshot); !ok || got != row.want {
			t.Errorf("%s: got %t, want %t (known: %t)", name, got, row.want, ok)
		}
	}
}
