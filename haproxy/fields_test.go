// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEqualComparesEveryField(t *testing.T) {
	checkEqual(t, func(a, b Running) bool { return (&Differ{have: a}).sameRunning(b) })
	checkEqual(t, func(a, b State) bool { return (&Differ{want: a}).sameButBackends(b) })
}

func checkEqual[T any](t *testing.T, equal func(a, b T) bool) {
	var zero T
	for name, change := range changes[T]() {
		var changed T
		change(reflect.ValueOf(&changed).Elem())
		if _, isState := any(zero).(State); isState && name == ".Backends" {
			continue
		}
		if equal(changed, zero) || equal(zero, changed) || !equal(changed, changed) {
			t.Errorf("%T%s is not compared", zero, name)
		}
	}
}

// changes returns functions that change one field of a zero T each, by the name of
// the field. The fields of a State, of Settings and of a Node are fields of their own.
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

// other returns a value of a type that is not its zero value.
func other(of reflect.Type) reflect.Value {
	v := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(time.Second))
	case reflect.Uint16:
		v.SetUint(1)
	case reflect.String:
		v.SetString("x")
	case reflect.Slice:
		v.Set(reflect.MakeSlice(of, 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(of))
		v.SetMapIndex(reflect.Zero(of.Key()), reflect.Zero(of.Elem()))
	case reflect.Struct:
		if of == reflect.TypeFor[Backends]() {
			return reflect.ValueOf(ListOf(&Backend{}))
		}
		v.Field(0).Set(other(of.Field(0).Type))
	default:
		panic("a field of kind " + of.Kind().String())
	}
	return v
}

func TestSameStructureComparesEveryField(t *testing.T) {
	for name, change := range changes[Backend]() {
		var a, b Backend
		change(reflect.ValueOf(&b).Elem())
		if got, want := a.SameStructure(&b), name == ".Servers" || name == ".Unknown" || name == ".Spare"; got != want {
			t.Errorf("with another %s: SameStructure is %t, want %t", name, got, want)
		}
	}
}

func TestKeysContainEveryField(t *testing.T) {
	checkKey(t, Policy.key)
	checkKey(t, Options.key)
}

func checkKey[T any](t *testing.T, key func(T) string) {
	for name, change := range changes[T]() {
		var zero, changed T
		change(reflect.ValueOf(&changed).Elem())
		if key(changed) == key(zero) {
			t.Errorf("%T%s is not part of the key", zero, name)
		}
	}
}

// TestHashesAreThoseOfPodgate010 has values of podgate 0.1.0: with other values, an
// upgrade of podgate would reload HAProxy.
func TestHashesAreThoseOfPodgate010(t *testing.T) {
	s := State{RuntimeBackends: true, Backends: ListOf(
		&Backend{Name: "shop_a_80", Policy: Policy{Mode: HTTP, Balance: RoundRobin}, Options: Options{Protocol: Plain}},
		&Backend{Name: "shop_b_80",
			Policy:  Policy{Mode: HTTP, Balance: LeastConn, Cookie: "SRV", CookieKey: "k", CheckPath: "/ok", TimeoutConnect: 3 * time.Second, AllowSource: "10.0.0.0/8"},
			Options: Options{Protocol: TLS, Check: true, CheckInterval: 2 * time.Second, MaxConn: 7, SendProxy: ProxyV2, SlowStart: time.Minute, ServerName: "b.test"}},
	)}.AsLoaded()
	if got, want := s.DynamicHash, "02b307fe3a42"; got != want {
		t.Errorf("the hash of the backends is %s, want %s", got, want)
	}
	if len(s.Classes) != 2 || s.Classes[0].Balance != LeastConn {
		t.Errorf("the classes are in another order: %v", s.Classes)
	}
}

// TestJSONNamesAreThoseOfPodgate010 is for podgate.loaded.json of podgate 0.1.0.
func TestJSONNamesAreThoseOfPodgate010(t *testing.T) {
	text, err := json.Marshal(State{Frontends: []Frontend{{}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Edition", "Inner", "RetiredWorkers"} {
		if !strings.Contains(string(text), `"`+name+`":`) {
			t.Errorf("the JSON of a State has no %s:\n%s", name, text)
		}
	}
}
