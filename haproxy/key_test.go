// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"reflect"
	"testing"
	"time"
)

// TestHashesOfLoadedConfigurationsStay has values of podgate 0.1.0: with others, an
// upgrade would cost more than it does.
func TestHashesOfLoadedConfigurationsStay(t *testing.T) {
	s := State{RuntimeBackends: true, Backends: ListOf(
		&Backend{Name: "shop_a_80", Policy: Policy{Mode: HTTP, Balance: RoundRobin}, Options: Options{Protocol: Plain}},
		&Backend{Name: "shop_b_80",
			Policy:  Policy{Mode: HTTP, Balance: LeastConn, Cookie: "SRV", CookieKey: "k", CheckPath: "/ok", TimeoutConnect: 3 * time.Second, AllowSource: "10.0.0.0/8"},
			Options: Options{Protocol: TLS, Check: true, CheckInterval: 2 * time.Second, MaxConn: 7, SendProxy: ProxyV2, SlowStart: time.Minute, ServerName: "b.test"}},
	)}.Pinned()
	if got, want := s.Edition, "02b307fe3a42"; got != want {
		t.Errorf("the hash of the backends is %s, want %s", got, want)
	}
	if len(s.Classes) != 2 || s.Classes[0].Balance != LeastConn {
		t.Errorf("the defaults sections are in another order: %v", s.Classes)
	}
}

func TestEveryFieldIsPartOfTheKey(t *testing.T) {
	for _, zero := range []interface{ key() string }{Policy{}, Options{}} {
		for i := range reflect.TypeOf(zero).NumField() {
			v := reflect.New(reflect.TypeOf(zero)).Elem()
			switch f := v.Field(i); f.Kind() {
			case reflect.String:
				f.SetString("x")
			case reflect.Bool:
				f.SetBool(true)
			default:
				f.SetInt(1)
			}
			if key := v.Interface().(interface{ key() string }).key(); key == zero.key() {
				t.Errorf("%s.%s is not part of the key", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
}
