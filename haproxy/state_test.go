// SPDX-License-Identifier: Apache-2.0

package haproxy_test

import (
	"reflect"
	"testing"
	"time"

	"podgate/haproxy"
)

// TestSameStructure sets each field of a Backend by itself, those to come
// included.
func TestSameStructure(t *testing.T) {
	fields := reflect.TypeFor[haproxy.Backend]()
	for i := range fields.NumField() {
		var a, b haproxy.Backend
		set(t, reflect.ValueOf(&b).Elem().Field(i))
		name := fields.Field(i).Name
		if got, want := a.SameStructure(&b), name == "Servers" || name == "Unknown"; got != want {
			t.Errorf("with another %s: SameStructure is %t, want %t", name, got, want)
		}
	}
}

// set gives a zero value, or the first field of one, another value.
func set(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(time.Second))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Struct:
		set(t, v.Field(0))
	default:
		t.Fatalf("a field of kind %s", v.Kind())
	}
}
