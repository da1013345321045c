// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"reflect"
	"testing"
)

func TestEqualComparesEveryField(t *testing.T) {
	same := func(a, b Running) bool { return (&Differ{have: a}).sameRunning(b) }
	for name, change := range changes[Running]() {
		var have Running
		change(reflect.ValueOf(&have).Elem())
		if same(have, Running{}) || same(Running{}, have) || !same(have, have) {
			t.Errorf("Running%s is not looked at", name)
		}
	}
	same2 := func(a, b State) bool { return (&Differ{want: a}).sameButBackends(b) }
	for name, change := range changes[State]() {
		var want State
		change(reflect.ValueOf(&want).Elem())
		if name == ".Backends" {
			continue
		}
		if same2(want, State{}) || same2(State{}, want) || !same2(want, want) {
			t.Errorf("State%s is not looked at", name)
		}
	}
}

// changes are ways to make a T another one than the zero T, by the field that they
// change: each field, and each of a State, of Settings and of a Node.
func changes[T any]() map[string]func(reflect.Value) {
	all := map[string]func(reflect.Value){}
	var walk func(reflect.Type, string, func(reflect.Value) reflect.Value)
	walk = func(of reflect.Type, name string, find func(reflect.Value) reflect.Value) {
		for i := range of.NumField() {
			f := of.Field(i)
			field := func(v reflect.Value) reflect.Value { return find(v).Field(i) }
			switch f.Type {
			case reflect.TypeFor[State](), reflect.TypeFor[Settings](), reflect.TypeFor[Node]():
				walk(f.Type, name+"."+f.Name, field)
			default:
				all[name+"."+f.Name] = func(v reflect.Value) { field(v).Set(other(f.Type)) }
			}
		}
	}
	walk(reflect.TypeFor[T](), "", func(v reflect.Value) reflect.Value { return v })
	return all
}

// other is a value of a type that is not its zero value.
func other(of reflect.Type) reflect.Value {
	v := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint16:
		v.SetUint(1)
	case reflect.String:
		v.SetString("x")
	case reflect.Slice:
		v.Set(reflect.MakeSlice(of, 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(of))
		v.SetMapIndex(reflect.Zero(of.Key()), reflect.Zero(of.Elem()))
	default:
		v.Set(reflect.ValueOf(ListOf(&Backend{})))
	}
	return v
}
